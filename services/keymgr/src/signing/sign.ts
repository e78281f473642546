import { hash } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { isUuid } from '@gigvault/ids/uuid';
import { verifyWith } from '@gigvault/keystore/key-algorithm';
import type { SignRequest } from '@gigvault/proto/keymgr/v1/signing';
import type { PeerName } from '@gigvault/rpc/service-name';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Log } from '@gigvault/telemetry/log';
import type { Backends } from '../backends/backends.ts';
import { getKey } from '../keys/find-keys.ts';
import { isPurpose, PURPOSE_CALLER, type Purpose } from '../keys/purposes.ts';
import { refuseUse } from '../keys/refuse-use.ts';
import { publicKeyOf, type StoredKey } from '../keys/stored-key.ts';
import type { KeyTable } from '../ports/key-table.ts';
import type { KeyUsage } from '../ports/key-usage.ts';
import type { SignatureTable } from '../ports/signature-table.ts';
import type { UseLimits } from '../ports/use-limits.ts';
import type { SingleFlight } from './single-flight.ts';
import { PURPOSE_RULES, whyRefused } from './to-be-signed.ts';

/** What signing needs. */
export interface SignDeps {
  readonly backends: Backends;
  readonly keys: Pick<KeyTable, 'find'>;
  readonly signatures: SignatureTable;
  readonly usage: KeyUsage;
  readonly limits: UseLimits;
  readonly inFlight: SingleFlight<Buffer>;
  readonly log: Log;
}

/**
 * Signs to-be-signed bytes, and answers only with a signature that is on record under the intent; it verifies, unless the purpose leaves
 * that to the caller.
 * The same intent with the same bytes gets the signature on record, however often it asks.
 * Errors: KEY_NOT_FOUND, KEY_USE_REFUSED (caller, purpose, content, state), SIGNING_CLOSED (tombstoned, or used for other bytes),
 * KEY_UNAVAILABLE, INVALID_ARGUMENT (intent id), RATE_LIMITED. Each refusal is an event.
 */
export async function sign(
  deps: SignDeps,
  request: SignRequest,
  caller: PeerName,
): Promise<Buffer> {
  const key = await getKey(deps, request.keyId);
  await deps.limits.take('sign', `service:${caller}`, request.keyId);
  const purpose = await requireAllowed(deps, key, request, caller);
  const { intentId, tbs } = request;
  const { record } = PURPOSE_RULES[purpose];
  if (record === 'none' || (record === 'count' && intentId === '')) {
    const signature = await signAndVerify(deps, key, purpose, tbs);
    if (record === 'count') deps.usage.used({ keyId: key.keyId, purpose, caller });
    return signature;
  }
  requireIntentId(intentId);
  const tbsSha256 = hash('sha256', tbs, 'buffer');
  return recordSignature(deps, key, { intentId, tbsSha256, purpose }, caller, () =>
    signAndVerify(deps, key, purpose, tbs),
  );
}

/** Signs once for all who ask for the same meanwhile, records the signature and returns what stands on record. Errors: those of `sign`. */
export function recordSignature(
  deps: SignDeps,
  key: StoredKey,
  what: { readonly intentId: string; readonly tbsSha256: Buffer; readonly purpose: Purpose },
  caller: PeerName,
  signAndVerify: () => Promise<Buffer>,
): Promise<Buffer> {
  const { intentId, tbsSha256, purpose } = what;
  const { keyId } = key;
  const fingerprint = `${keyId}/${tbsSha256.toString('hex')}`;
  return deps.inFlight.run(intentId, fingerprint, async () => {
    const signature = await signAndVerify();
    const outcome = await durableStep('keymgr.signature', () =>
      deps.signatures.record({ intentId, keyId, purpose, caller, tbsSha256, signature }),
    );
    // What stands on record is what is answered: a signature that lost the race is forgotten here.
    const isClosed = outcome.status === 'closed';
    if (!isClosed && outcome.keyId === keyId && outcome.tbsSha256.equals(tbsSha256))
      return outcome.signature;
    const why = isClosed
      ? `intent ${intentId} was closed`
      : `other bytes were signed under intent ${intentId}`;
    throw await refuseUse(deps, keyId, { purpose, caller }, why, 'SIGNING_CLOSED');
  });
}

async function requireAllowed(
  deps: SignDeps,
  key: StoredKey,
  request: SignRequest,
  caller: PeerName,
): Promise<Purpose> {
  const { purpose, tbs } = request;
  const reason = whyUseRefused(key, purpose, caller) ?? whyRefused(purpose as Purpose, tbs, key);
  if (reason === undefined) return purpose as Purpose;
  throw await refuseUse(deps, key.keyId, { purpose, caller }, reason);
}

/** Why the caller may not use the key for this purpose, whatever the bytes; undefined when it may. */
export function whyUseRefused(
  key: StoredKey,
  purpose: string,
  caller: PeerName,
): string | undefined {
  if (key.state !== 'active') return `key is ${key.state}`;
  if (!isPurpose(purpose) || !key.purposes.includes(purpose)) return 'not a purpose of this key';
  if (!key.callers.includes(caller) || PURPOSE_CALLER[purpose] !== caller) {
    return `${caller} may not ask for it`;
  }
  return undefined;
}

/** A signature that does not verify never gets further than the service that asked: a faulty one can give the private key away (T13). */
async function signAndVerify(
  deps: SignDeps,
  key: StoredKey,
  purpose: Purpose,
  tbs: Buffer,
): Promise<Buffer> {
  const { format, verifiedBy } = PURPOSE_RULES[purpose];
  const signature = await deps.backends.of(key.backend).sign(key.handle, tbs, { format });
  if (verifiedBy === 'caller') return signature;
  if (await verifyWith(publicKeyOf(key).keyObject, tbs, signature, format)) return signature;
  throw wrongSignature(deps, key);
}

/** Logs it; the caller throws what comes back. */
export function wrongSignature(
  deps: { readonly log: Log },
  key: Pick<StoredKey, 'keyId' | 'backend'>,
): GigvaultError {
  deps.log.error(
    { key_id: key.keyId, backend: key.backend, operation: 'sign' },
    'backend gave a wrong signature',
  );
  return new GigvaultError('KEY_UNAVAILABLE', `Key '${key.keyId}' gave a wrong signature.`, {
    details: { key_id: key.keyId },
  });
}

/** Errors: INVALID_ARGUMENT for anything but a lower-case UUID. */
export function requireIntentId(intentId: string): void {
  if (!isUuid(intentId)) {
    throw new GigvaultError('INVALID_ARGUMENT', 'intentId is not a UUID in lower case.');
  }
}
