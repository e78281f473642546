import { createHash, type Hash } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { OpenSignature } from '@gigvault/keystore/streamed-signature';
import type { SignListPartRequest } from '@gigvault/proto/keymgr/v1/signing';
import type { PeerName } from '@gigvault/rpc/service-name';
import type { Clock } from '@gigvault/time/clock';
import { checkTbsCertList, type TbsCertListChecker } from '@gigvault/x509/crl-parts';
import { DerError } from '@gigvault/x509/der';
import {
  type OpenVerification,
  openVerification,
  signatureAlgorithm,
} from '@gigvault/x509/signature';
import { getKey } from '../keys/find-keys.ts';
import { refuseUse } from '../keys/refuse-use.ts';
import { publicKeyOf, type StoredKey } from '../keys/stored-key.ts';
import {
  recordSignature,
  requireIntentId,
  type SignDeps,
  whyUseRefused,
  wrongSignature,
} from './sign.ts';
import { PURPOSE_RULES, whyOtherIssuer } from './to-be-signed.ts';

/** What signing lists needs. */
export interface SignListDeps extends SignDeps {
  readonly clock: Clock;
  readonly openLists: OpenLists;
}

/** Lists whose parts are still coming, by intent. In this process only: after a restart their sender begins again. */
export type OpenLists = Map<string, OpenList>;

/** What is kept of a list that comes: never its octets. */
interface OpenList {
  readonly keyId: string;
  readonly caller: PeerName;
  readonly length: number;
  seen: number;
  /** Unix ms. */
  touchedAt: number;
  readonly checker: TbsCertListChecker;
  readonly sha256: Hash;
  readonly signing: OpenSignature;
  readonly verifying: OpenVerification;
}

const MIB = 1024 * 1024;

/** Octets, as libs/rpc says of messages. */
export const LIST_LIMITS = { list: 256 * MIB, part: 4 * MIB } as const;

const PURPOSE = 'crlSign';
const MAX_OPEN = 16;
/** Milliseconds after which a list whose parts stopped coming is forgotten. */
const ABANDONED = 60_000;

/**
 * Takes the next part of a TBSCertList: checks and hashes it, and with the last one signs, verifies and records. So a list of any length
 * is seen whole by this process, is parsed before its key is used, and is never held. Returns the signature with the last part, else
 * nothing. Errors: those of `sign`; CONFLICT when the parts before are not known, or not in order.
 */
export async function signListPart(
  deps: SignListDeps,
  request: SignListPartRequest,
  caller: PeerName,
): Promise<Buffer> {
  const { keyId, intentId, offset, part } = request;
  requireIntentId(intentId);
  const key = await getKey(deps, keyId);
  const reason = whyUseRefused(key, PURPOSE, caller) ?? whyWrongSize(request);
  if (reason !== undefined)
    throw await refuseUse(deps, key.keyId, { purpose: PURPOSE, caller }, reason);
  if (offset === 0) await deps.limits.take('sign', `service:${caller}`, keyId);
  const list = offset === 0 ? await openList(deps, key, request, caller) : known(deps, request);
  if (list.caller !== caller || list.keyId !== keyId || list.seen !== offset)
    throw beginAgain(intentId);
  try {
    take(list, part);
    list.touchedAt = deps.clock.now();
    if (list.seen < list.length) return Buffer.alloc(0);
    deps.openLists.delete(intentId);
    const why = whyOtherIssuer(list.checker.end(), key);
    if (why !== undefined) throw new DerError(why);
  } catch (error) {
    deps.openLists.delete(intentId);
    if (!(error instanceof DerError)) throw error;
    const what = `not what ${PURPOSE} signs: ${error.message}`;
    throw await refuseUse(deps, key.keyId, { purpose: PURPOSE, caller }, what);
  }
  return finish(deps, key, list, intentId);
}

function whyWrongSize({ length, part }: SignListPartRequest): string | undefined {
  if (length < 1 || length > LIST_LIMITS.list) return `${length} octets`;
  return part.length > LIST_LIMITS.part ? `${part.length} octets in one part` : undefined;
}

async function openList(
  deps: SignListDeps,
  key: StoredKey,
  { intentId, length }: SignListPartRequest,
  caller: PeerName,
): Promise<OpenList> {
  const { format } = PURPOSE_RULES[PURPOSE];
  const { keyObject, keyType } = publicKeyOf(key);
  const signing = await deps.backends.of(key.backend).startSignature(key.handle, { format });
  const list: OpenList = {
    keyId: key.keyId,
    caller,
    length,
    seen: 0,
    touchedAt: deps.clock.now(),
    checker: checkTbsCertList(length),
    sha256: createHash('sha256'),
    signing,
    verifying: openVerification(keyObject, signatureAlgorithm(keyType)),
  };
  makeRoom(deps);
  deps.openLists.set(intentId, list);
  return list;
}

/** Forgets lists that stopped coming, and the oldest when there are too many: its sender begins again. */
function makeRoom({ openLists, clock }: SignListDeps): void {
  const oldestFirst = [...openLists].sort(([, a], [, b]) => a.touchedAt - b.touchedAt);
  for (const [i, [intentId, { touchedAt }]] of oldestFirst.entries()) {
    const tooMany = openLists.size >= MAX_OPEN && i === 0;
    if (tooMany || touchedAt + ABANDONED < clock.now()) openLists.delete(intentId);
  }
}

function known({ openLists }: SignListDeps, { intentId }: SignListPartRequest): OpenList {
  const list = openLists.get(intentId);
  if (list === undefined) throw beginAgain(intentId);
  return list;
}

function beginAgain(intentId: string): GigvaultError {
  return new GigvaultError('CONFLICT', `The parts of ${intentId} before this one are not known.`);
}

function take(list: OpenList, part: Buffer): void {
  list.checker.push(part);
  list.seen += part.length;
  list.sha256.update(part);
  list.signing.update(part);
  list.verifying.update(part);
}

async function finish(
  deps: SignListDeps,
  key: StoredKey,
  list: OpenList,
  intentId: string,
): Promise<Buffer> {
  const tbsSha256 = list.sha256.digest();
  return recordSignature(
    deps,
    key,
    { intentId, tbsSha256, purpose: PURPOSE },
    list.caller,
    async () => {
      const signature = await list.signing.sign();
      if (list.verifying.verify(signature)) return signature;
      throw wrongSignature(deps, key);
    },
  );
}
