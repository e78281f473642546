import { createSecretKey } from 'node:crypto';
import { CompactEncrypt, compactDecrypt } from 'jose';
import { HMAC_KEY_TYPES, SECRET_KEY_TYPES, type SecretKeyType } from './key-types.ts';
import { type SecretKey, secretOctets } from './secret-key.ts';

/** As PKCS #8 files have it: a key derived from the passphrase, PBES2 (RFC 7518 §4.8). */
const KEY_MANAGEMENT = 'PBES2-HS512+A256KW';
const CONTENT_ENCRYPTION = 'A256GCM';
/** How often the passphrase is hashed. It is random: this is for the form. */
const ITERATIONS = 2_048;

/**
 * A secret key as JWE in compact form (RFC 7516 §3.1): a JWK (RFC 7517) under a key derived from the passphrase, which must hold 128 random
 * bits or more. PKCS #8 has no form for such keys.
 */
export async function sealSecretKey(secret: SecretKey, passphrase: Buffer): Promise<string> {
  const { k } = secret.key.export({ format: 'jwk' });
  const jwk = { kty: 'oct', k, alg: algorithmName(secret.keyType) };
  return new CompactEncrypt(Buffer.from(JSON.stringify(jwk)))
    .setProtectedHeader({ alg: KEY_MANAGEMENT, enc: CONTENT_ENCRYPTION, cty: 'jwk+json' })
    .setKeyManagementParameters({ p2c: ITERATIONS })
    .encrypt(passphrase);
}

/** What sealSecretKey made. Throws for anything else, and for another passphrase. */
export async function openSecretKey(jwe: string, passphrase: Buffer): Promise<SecretKey> {
  const { plaintext } = await compactDecrypt(jwe.trim(), passphrase, {
    keyManagementAlgorithms: [KEY_MANAGEMENT],
    contentEncryptionAlgorithms: [CONTENT_ENCRYPTION],
  });
  const jwk = JSON.parse(Buffer.from(plaintext).toString()) as { k: string; alg: string };
  const keyType = SECRET_KEY_TYPES.find((known) => algorithmName(known) === jwk.alg);
  const octets = Buffer.from(jwk.k, 'base64url');
  if (keyType === undefined || octets.length !== secretOctets(keyType))
    throw new Error('it holds no key of a known type');
  const key = createSecretKey(octets);
  octets.fill(0);
  return { keyType, key };
}

/** As `A256GCM` and `HS256` (RFC 7518 §3.1, §5.1). */
function algorithmName(keyType: SecretKeyType): string {
  const isHmac = (HMAC_KEY_TYPES as readonly string[]).includes(keyType);
  return isHmac ? `HS${keyType.slice(-3)}` : `A${keyType.slice(-3)}GCM`;
}
