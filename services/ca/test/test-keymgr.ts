import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import type {
  Key,
  KeyService,
  RequestSuccessorRequest,
  RequestSuccessorResponse,
} from '@gigvault/proto/keymgr/v1/key';
import type {
  CloseSigningResponse,
  KeySigningService,
  SignBatchItem,
  SignRequest,
} from '@gigvault/proto/keymgr/v1/signing';
import type { Client } from '@gigvault/rpc/call';
import { durableStep } from '@gigvault/telemetry/durable-step';
import { produced } from '@gigvault/testkit/produced';
import { assembleSigned } from '@gigvault/x509/certificate';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import { signatureAlgorithm, signTbs } from '@gigvault/x509/signature';

/**
 * What the next signing does instead of working. `AndNotPersist`: no signature was recorded; `ButPersist`: it was, and only the
 * answer is lost. `wrongSignature`: a faulted one is recorded and answered.
 */
export type SigningFault = 'refuse' | 'failAndNotPersist' | 'failButPersist' | 'wrongSignature';

/** A keymgr with real software keys that records signatures as keymgr does, and breaks on demand. */
export interface TestKeymgr {
  readonly signing: Client<KeySigningService>;
  readonly keys: Client<KeyService>;
  /** For the next item that is signed. */
  fault: SigningFault | undefined;
  /** While true, CloseSigning cannot be reached. */
  closeFails: boolean;
  /** How often each to-be-signed value (hex) was signed. */
  readonly signed: ReadonlyMap<string, number>;
  /** Recorded signatures by intent. */
  readonly recorded: ReadonlyMap<string, Buffer>;
  readonly tombstones: ReadonlySet<string>;
  /** Items of each SignBatch call. */
  readonly batches: readonly number[];
}

const P256 = signatureAlgorithm('ec-p256');

/** The same keymgr, and its state. */
interface State extends TestKeymgr {
  readonly privateKeys: Record<string, KeyObject>;
  readonly signed: Map<string, number>;
  readonly recorded: Map<string, Buffer>;
  readonly tombstones: Set<string>;
  readonly batches: number[];
}

/** @param privateKeys by key id. */
export function createTestKeymgr(privateKeys: Readonly<Record<string, KeyObject>>): TestKeymgr {
  const state: State = {
    privateKeys: { ...privateKeys },
    fault: undefined,
    closeFails: false,
    signed: new Map(),
    recorded: new Map(),
    tombstones: new Set(),
    batches: [],
    signing: {
      sign: async (request) => ({ signature: await signOne(state, request) }),
      signListPart: () => Promise.reject(new Error('not used')),
      signBatch: async ({ items }) => ({ items: await signAll(state, items) }),
      closeSigning: async ({ intentId }) => close(state, intentId),
    },
    keys: {
      getKey: async ({ keyId }) => describeKey(keyId, keyOf(state, keyId)),
      requestSuccessor: async (request) => requestSuccessor(state, request),
      generateKey: () => Promise.reject(new GigvaultError('KEY_USE_REFUSED', 'not here')),
      listKeys: () => Promise.reject(new GigvaultError('KEY_USE_REFUSED', 'not here')),
    },
  };
  return state;
}

function keyOf({ privateKeys }: State, keyId: string): KeyObject {
  const key = privateKeys[keyId];
  if (key === undefined) throw new GigvaultError('KEY_NOT_FOUND', 'no such key');
  return key;
}

async function signOne(state: State, item: SignRequest): Promise<Buffer> {
  const { fault, recorded, signed, tombstones } = state;
  state.fault = undefined;
  const key = keyOf(state, item.keyId);
  if (item.purpose !== 'certSign' || fault === 'refuse') {
    throw new GigvaultError('KEY_USE_REFUSED', 'refused');
  }
  if (tombstones.has(item.intentId)) throw new GigvaultError('SIGNING_CLOSED', 'closed');
  const known = recorded.get(item.intentId);
  if (known) return known;
  if (fault === 'failAndNotPersist') throw new GigvaultError('UNAVAILABLE', 'lost before');
  const signature = await durableStep('keymgr.signature', async () => {
    const made = signTbs(key, item.tbs);
    const last = made.length - 1;
    if (fault !== 'wrongSignature') produced('certificate', assembleSigned(item.tbs, P256, made));
    else made.writeUInt8(made.readUInt8(last) ^ 1, last);
    recorded.set(item.intentId, made);
    const hex = item.tbs.toString('hex');
    signed.set(hex, (signed.get(hex) ?? 0) + 1);
    return made;
  });
  if (fault === 'failButPersist') throw new GigvaultError('DEADLINE_EXCEEDED', 'lost after');
  return signature;
}

/** A transport failure is the whole call's, as on the wire; a refusal is the item's. */
async function signAll(state: State, items: readonly SignRequest[]): Promise<SignBatchItem[]> {
  state.batches.push(items.length);
  const answers: SignBatchItem[] = [];
  for (const item of items) {
    try {
      answers.push({ signature: await signOne(state, item), errorCode: '', errorMessage: '' });
    } catch (error) {
      const { code, message } = asGigvaultError(error);
      if (code === 'UNAVAILABLE' || code === 'DEADLINE_EXCEEDED') throw error;
      answers.push({ signature: Buffer.alloc(0), errorCode: code, errorMessage: message });
    }
  }
  return answers;
}

function close(state: State, intentId: string): CloseSigningResponse {
  if (state.closeFails) throw new GigvaultError('UNAVAILABLE', 'keymgr is away');
  const signature = state.recorded.get(intentId);
  if (signature) return { signature, tombstoned: false };
  state.tombstones.add(intentId);
  return { signature: Buffer.alloc(0), tombstoned: true };
}

/** As keymgr does, for the CAs of startTestCa. */
function requestSuccessor(
  state: State,
  { keyId: first, generation }: RequestSuccessorRequest,
): RequestSuccessorResponse {
  keyOf(state, first);
  const keyId = `${first}-g${generation}`;
  state.privateKeys[keyId] ??= generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const privateKey = keyOf(state, keyId);
  const subject = [{ type: 'CN', value: `Test ${first.slice('ca-'.length)} CA G${generation}` }];
  const request = { privateKey, subject, subjectAltName: [] };
  return {
    key: describeKey(keyId, privateKey),
    certificationRequest: buildCertificationRequest(request),
  };
}

function describeKey(keyId: string, key: KeyObject): Key {
  return {
    keyId,
    keyType: 'ec-p256',
    subjectPublicKeyInfo: createPublicKey(key).export({ format: 'der', type: 'spki' }),
    state: 'active',
    createdAt: 0,
    purposes: ['certSign'],
    callers: ['ca'],
    backend: 'test',
  };
}
