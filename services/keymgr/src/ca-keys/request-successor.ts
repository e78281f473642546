import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { PeerName } from '@gigvault/rpc/service-name';
import { generationSubject, LAST_GENERATION } from '@gigvault/x509/ca-generation';
import { readName } from '@gigvault/x509/name';
import { getKey } from '../keys/find-keys.ts';
import type { KeyDeps } from '../keys/key-deps.ts';
import { PURPOSE_CALLER } from '../keys/purposes.ts';
import { type RefusalDeps, refuseUse } from '../keys/refuse-use.ts';
import { publicKeyOf, type StoredKey } from '../keys/stored-key.ts';
import { createCaKey } from './create-ca-key.ts';
import { requestCaCertificate } from './request-ca-certificate.ts';

const SUCCESSOR = /-g\d+$/;

/** Which key of a CA is asked for. */
export interface SuccessorRequest {
  /** Of the CA's first key. */
  readonly keyId: string;
  /** 2 to LAST_GENERATION. */
  readonly generation: number;
  /** Who asks; empty for the service itself. */
  readonly actor: string;
}

/** A CA's next key, and the request for its certificate. */
export interface Successor {
  readonly key: StoredKey;
  /** PKCS #10, DER. Differs from call to call, its key does not. */
  readonly certificationRequest: Buffer;
}

/**
 * The CA's key of this generation, `<first key>-g<generation>`: made in the backend of new keys at the first call, found at each further one.
 * The caller chooses nothing of it. Its type, and the name to which it is bound, follow from the first key, so this gives nobody a CA key
 * for another CA. A refusal is an event. Errors: KEY_NOT_FOUND, KEY_USE_REFUSED when it is not a CA key of the caller, INVALID_ARGUMENT, KEY_UNAVAILABLE.
 */
export async function requestSuccessor(
  deps: KeyDeps & RefusalDeps,
  { keyId: firstId, generation, actor }: SuccessorRequest,
  caller: PeerName,
): Promise<Successor> {
  const first = await getKey(deps, firstId);
  const mayAsk = PURPOSE_CALLER.certSign === caller && first.callers.includes(caller);
  if (first.issuerName === null || !mayAsk || SUCCESSOR.test(firstId)) {
    const why = `it is not the first key of a CA of ${caller}`;
    throw await refuseUse(deps, firstId, { purpose: 'request-successor', caller }, why);
  }
  if (!Number.isInteger(generation) || generation < 2 || generation > LAST_GENERATION) {
    throw new GigvaultError('INVALID_ARGUMENT', `A generation is 2 to ${LAST_GENERATION}.`);
  }
  const keyId = `${firstId}-g${generation}`;
  const made = {
    keyId,
    keyType: publicKeyOf(first).keyType,
    subject: generationSubject(readName(first.issuerName), generation),
    actor: actor || `service:${caller}`,
  };
  // Another call, or one that died before its answer, may have made it.
  await createCaKey(deps, made).catch((error: unknown) => {
    if (!(error instanceof GigvaultError) || error.code !== 'ALREADY_EXISTS') throw error;
  });
  const certificationRequest = await requestCaCertificate(deps, keyId, {
    actor: made.actor,
    caller,
  });
  return { key: await getKey(deps, keyId), certificationRequest };
}
