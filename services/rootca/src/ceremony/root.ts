import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { assembleSigned, type ParsedCertificate } from '@gigvault/x509/certificate';
import type { KeyType } from '@gigvault/x509/public-key';
import { signatureAlgorithm, verifySignature } from '@gigvault/x509/signature';
import type { Plan } from '../plan/plan.ts';
import type { RootKey } from './root-key.ts';

/** A root that can sign. Keep it as short as possible: a key of a file is in this process's memory while it lives. */
export interface Root {
  readonly plan: Plan;
  readonly certificate: ParsedCertificate;
  readonly key: RootKey;
}

/** Where the root's certificate and CRL are found. */
export function rootUrls(plan: Plan): { readonly issuerUrl: string; readonly crlUrl: string } {
  return { issuerUrl: `${plan.statusUrl}/ca/root.crt`, crlUrl: `${plan.statusUrl}/crl/root/0.crl` };
}

/**
 * Signs to-be-signed bytes with the root's key and checks the signature before it is given out (T13).
 * Errors: KEY_UNAVAILABLE when the signature does not verify.
 */
export async function signAsRoot({ publicKey, sign }: RootKey, tbs: Buffer): Promise<Buffer> {
  const algorithm = signatureAlgorithm(publicKey.keyType);
  const signature = await sign(tbs);
  if (!verifySignature(publicKey.keyObject, algorithm, tbs, signature)) {
    throw new GigvaultError('KEY_UNAVAILABLE', 'The root key gave a wrong signature.');
  }
  return assembleSigned(tbs, algorithm, signature);
}

/** The key type of the root's own key. */
export function rootKeyType(root: Root): KeyType {
  return root.certificate.publicKey.keyType;
}
