import { hash } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { verifyWith } from '@gigvault/keystore/key-algorithm';
import type { PeerName } from '@gigvault/rpc/service-name';
import { durableStep } from '@gigvault/telemetry/durable-step';
import { assembleSigned } from '@gigvault/x509/certificate';
import { contextConstructed, integer, sequence } from '@gigvault/x509/der';
import { signatureAlgorithm } from '@gigvault/x509/signature';
import { getKey } from '../keys/find-keys.ts';
import type { KeyDeps } from '../keys/key-deps.ts';
import { type RefusalDeps, refuseUse } from '../keys/refuse-use.ts';
import { publicKeyOf } from '../keys/stored-key.ts';
import { changedMeanwhile } from '../life/move-key.ts';

/** Who asks: the actor of the event, and the service that calls. */
export interface CertificateRequester {
  readonly actor: string;
  readonly caller: PeerName;
}

const BOOTSTRAP: CertificateRequester = { actor: 'service:gigvault', caller: 'gigvault' };
const PURPOSE = 'request-certificate';

/**
 * A PKCS #10 request (RFC 2986) for a CA key, its subject the key's issuer name, without attributes: what is carried to the offline root. The use of the key,
 * or the refusal, is in the event log before it is answered. DER. Errors: KEY_NOT_FOUND, KEY_USE_REFUSED when it is not a CA's key, KEY_UNAVAILABLE, CONFLICT.
 */
export async function requestCaCertificate(
  deps: KeyDeps & RefusalDeps,
  keyId: string,
  { actor, caller }: CertificateRequester = BOOTSTRAP,
): Promise<Buffer> {
  const key = await getKey(deps, keyId);
  const { issuerName, handle, backend, version } = key;
  const use = { purpose: PURPOSE, caller };
  if (issuerName === null) throw await refuseUse(deps, keyId, use, "it is not a CA's key");
  const publicKey = publicKeyOf(key);
  const info = sequence(integer(0), issuerName, publicKey.spki, contextConstructed(0));
  const signature = await deps.backends.of(backend).sign(handle, info, { format: 'der' });
  if (!(await verifyWith(publicKey.keyObject, info, signature, 'der'))) {
    throw new GigvaultError('KEY_UNAVAILABLE', `Key '${keyId}' gave a wrong signature.`);
  }
  const data = { ...use, count: 1, version, dataSha256: hash('sha256', info) };
  const recorded = await durableStep('keymgr.use', () =>
    deps.keys.recordUse(key, { type: 'key.used', actor, subject: keyId, data }),
  );
  if (!recorded) throw changedMeanwhile(keyId);
  return assembleSigned(info, signatureAlgorithm(publicKey.keyType), signature);
}
