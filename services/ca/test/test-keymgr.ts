import { createPublicKey, type KeyObject } from 'node:crypto';
import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import type { KeyService } from '@gigvault/proto/keymgr/v1/key';
import type { KeySigningService, SignRequest } from '@gigvault/proto/keymgr/v1/signing';
import type { Client } from '@gigvault/rpc/call';
import { durableStep } from '@gigvault/telemetry/durable-step';
import { signTbs } from '@gigvault/x509/signature';

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

/** @param privateKeys by key id. */
export function createTestKeymgr(privateKeys: Readonly<Record<string, KeyObject>>): TestKeymgr {
  const recorded = new Map<string, Buffer>();
  const tombstones = new Set<string>();
  const signed = new Map<string, number>();
  const batches: number[] = [];

  async function signOne(item: SignRequest): Promise<Buffer> {
    const fault = keymgr.fault;
    keymgr.fault = undefined;
    const key = privateKeys[item.keyId];
    if (key === undefined) throw new GigvaultError('KEY_NOT_FOUND', 'no such key');
    if (item.purpose !== 'certSign' || fault === 'refuse')
      throw new GigvaultError('KEY_USE_REFUSED', 'refused');
    if (tombstones.has(item.intentId)) throw new GigvaultError('SIGNING_CLOSED', 'closed');
    const known = recorded.get(item.intentId);
    if (known) return known;
    if (fault === 'failAndNotPersist') throw new GigvaultError('UNAVAILABLE', 'lost before');
    const signature = await durableStep('keymgr.signature', async () => {
      const made = signTbs(key, item.tbs);
      if (fault === 'wrongSignature')
        made.writeUInt8(made.readUInt8(made.length - 1) ^ 1, made.length - 1);
      recorded.set(item.intentId, made);
      const hex = item.tbs.toString('hex');
      signed.set(hex, (signed.get(hex) ?? 0) + 1);
      return made;
    });
    if (fault === 'failButPersist') throw new GigvaultError('DEADLINE_EXCEEDED', 'lost after');
    return signature;
  }

  const keymgr: TestKeymgr = {
    fault: undefined,
    closeFails: false,
    signed,
    recorded,
    tombstones,
    batches,
    signing: {
      sign: async (request) => ({ signature: await signOne(request) }),
      async signBatch({ items }) {
        batches.push(items.length);
        const answers = [];
        for (const item of items) {
          try {
            answers.push({ signature: await signOne(item), errorCode: '', errorMessage: '' });
          } catch (error) {
            const { code, message } = asGigvaultError(error);
            // A transport failure is the whole call's, as on the wire.
            if (code === 'UNAVAILABLE' || code === 'DEADLINE_EXCEEDED') throw error;
            answers.push({ signature: Buffer.alloc(0), errorCode: code, errorMessage: message });
          }
        }
        return { items: answers };
      },
      async closeSigning({ intentId }) {
        if (keymgr.closeFails) throw new GigvaultError('UNAVAILABLE', 'keymgr is away');
        const signature = recorded.get(intentId);
        if (signature) return { signature, tombstoned: false };
        tombstones.add(intentId);
        return { signature: Buffer.alloc(0), tombstoned: true };
      },
    },
    keys: {
      async getKey({ keyId }) {
        const key = privateKeys[keyId];
        if (key === undefined) throw new GigvaultError('KEY_NOT_FOUND', 'no such key');
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
      },
      generateKey: () => Promise.reject(new GigvaultError('KEY_USE_REFUSED', 'not here')),
      listKeys: () => Promise.reject(new GigvaultError('KEY_USE_REFUSED', 'not here')),
    },
  };
  return keymgr;
}
