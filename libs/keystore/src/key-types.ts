import type { KeyType } from '@gigvault/x509/public-key';

/** ML-DSA by its parameter sets (FIPS 204 §4). No certificate of the house has such a key; people sign with it. */
export const ML_DSA_KEY_TYPES = ['ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87'] as const;

/** AES by the bits of its key (FIPS 197). */
export const AES_KEY_TYPES = ['aes-128', 'aes-192', 'aes-256'] as const;

/** HMAC (FIPS 198-1) by its hash, with a key as long as the hash's output. */
export const HMAC_KEY_TYPES = ['hmac-sha256', 'hmac-sha384', 'hmac-sha512'] as const;

/** The types of private keys that decrypt, when they are made for it. */
export const RSA_KEY_TYPES = [
  'rsa-2048',
  'rsa-3072',
  'rsa-4096',
] as const satisfies readonly KeyType[];

/** One of ML_DSA_KEY_TYPES. */
export type MlDsaKeyType = (typeof ML_DSA_KEY_TYPES)[number];

/** One of RSA_KEY_TYPES. */
export type RsaKeyType = (typeof RSA_KEY_TYPES)[number];

/** Of keys with a public half. */
export type PairKeyType = KeyType | MlDsaKeyType;

/** Of keys that encrypt and decrypt with the same octets. */
export type AesKeyType = (typeof AES_KEY_TYPES)[number];

/** Of keys that authenticate messages. */
export type HmacKeyType = (typeof HMAC_KEY_TYPES)[number];

/** Of keys without a public half. */
export type SecretKeyType = AesKeyType | HmacKeyType;

/** Of any key. */
export type AnyKeyType = PairKeyType | SecretKeyType;

/** Every secret key type. */
export const SECRET_KEY_TYPES: readonly SecretKeyType[] = [...AES_KEY_TYPES, ...HMAC_KEY_TYPES];

/** True for a type of SECRET_KEY_TYPES. */
export function isSecretKeyType(keyType: string): keyType is SecretKeyType {
  return (SECRET_KEY_TYPES as readonly string[]).includes(keyType);
}

/** True for a type of AES_KEY_TYPES. */
export function isAesKeyType(keyType: string): keyType is AesKeyType {
  return (AES_KEY_TYPES as readonly string[]).includes(keyType);
}

/** True for a type of HMAC_KEY_TYPES. */
export function isHmacKeyType(keyType: string): keyType is HmacKeyType {
  return (HMAC_KEY_TYPES as readonly string[]).includes(keyType);
}

/** True for a type of RSA_KEY_TYPES. */
export function isRsaKeyType(keyType: string): keyType is RsaKeyType {
  return (RSA_KEY_TYPES as readonly string[]).includes(keyType);
}

/** True for a type of ML_DSA_KEY_TYPES. */
export function isMlDsaKeyType(keyType: string): keyType is MlDsaKeyType {
  return (ML_DSA_KEY_TYPES as readonly string[]).includes(keyType);
}
