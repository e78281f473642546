import type { KeyObject } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { assembleSigned, type ParsedCertificate } from '@gigvault/x509/certificate';
import { type KeyType, keyTypeOf, type PublicKeyInfo } from '@gigvault/x509/public-key';
import { signatureAlgorithm, signTbs, verifySignature } from '@gigvault/x509/signature';
import type { Plan } from '../plan/plan.ts';

/** An unlocked root. Keep it as short as possible: while it lives, the key is in this process's memory. */
export interface Root {
  readonly plan: Plan;
  readonly certificate: ParsedCertificate;
  readonly privateKey: KeyObject;
}

/** Where the root's certificate and CRL are found. */
export function rootUrls(plan: Plan): { readonly issuerUrl: string; readonly crlUrl: string } {
  return { issuerUrl: `${plan.statusUrl}/ca/root.crt`, crlUrl: `${plan.statusUrl}/crl/root/0.crl` };
}

/**
 * Signs to-be-signed bytes with the root's key and checks the signature before it is given out (T13).
 * Errors: KEY_UNAVAILABLE when the signature does not verify.
 */
export function signAsRoot(privateKey: KeyObject, publicKey: PublicKeyInfo, tbs: Buffer): Buffer {
  const algorithm = signatureAlgorithm(keyTypeOf(privateKey));
  const signature = signTbs(privateKey, tbs);
  if (!verifySignature(publicKey.keyObject, algorithm, tbs, signature)) {
    throw new GigvaultError('KEY_UNAVAILABLE', 'The root key gave a wrong signature.');
  }
  return assembleSigned(tbs, algorithm, signature);
}

/** The key type of the root's own key. */
export function rootKeyType(root: Root): KeyType {
  return root.certificate.publicKey.keyType;
}
