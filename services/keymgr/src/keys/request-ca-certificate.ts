import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { verifyWith } from '@gigvault/keystore/key-algorithm';
import { assembleSigned } from '@gigvault/x509/certificate';
import { contextConstructed, integer, sequence } from '@gigvault/x509/der';
import { signatureAlgorithm } from '@gigvault/x509/signature';
import type { KeyDeps } from './create-key.ts';
import { getKey } from './find-keys.ts';
import { publicKeyOf } from './stored-key.ts';

/**
 * A PKCS #10 request (RFC 2986) for a CA key, its subject the key's issuer name, without attributes: what is carried to the offline root.
 * DER. Errors: KEY_NOT_FOUND, KEY_USE_REFUSED when it is not a CA's key, KEY_UNAVAILABLE.
 */
export async function requestCaCertificate(deps: KeyDeps, keyId: string): Promise<Buffer> {
  const key = await getKey(deps, keyId);
  const { issuerName, handle, backend } = key;
  if (issuerName === null) {
    throw new GigvaultError('KEY_USE_REFUSED', `Key '${keyId}' is not a CA's key.`);
  }
  const publicKey = publicKeyOf(key);
  const info = sequence(integer(0), issuerName, publicKey.spki, contextConstructed(0));
  const signature = await deps.backends.of(backend).sign(handle, info, { format: 'der' });
  if (!(await verifyWith(publicKey.keyObject, info, signature, 'der'))) {
    throw new GigvaultError('KEY_UNAVAILABLE', `Key '${keyId}' gave a wrong signature.`);
  }
  return assembleSigned(info, signatureAlgorithm(publicKey.keyType), signature);
}
