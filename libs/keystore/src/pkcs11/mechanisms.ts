import type { KeyType } from '@gigvault/x509/public-key';
import type { Slot } from 'graphene-pk11';
import pkcs11js from 'pkcs11js';
import { type AnyKeyType, SECRET_KEY_TYPES, type SecretKeyType } from '../key-types.ts';

/** How keys of one type are made and sign, in the words of PKCS #11 v3.1. */
export interface KeyMechanism {
  readonly generate: number;
  readonly sign: number;
  /** What the token's range of key sizes must hold. */
  readonly bits: number;
  /** CKA_EC_PARAMS: DER of the curve's OID; undefined for RSA. */
  readonly parameters?: Buffer;
}

// PKCS #11 v3.0: not among pkcs11js's constants.
const CKM_EC_EDWARDS_KEY_PAIR_GEN = 0x1055;
const CKM_EDDSA = 0x1057;

/** Every key type. */
export const KEY_MECHANISMS: Readonly<Record<KeyType, KeyMechanism>> = {
  'ec-p256': ec(256, '06082a8648ce3d030107'),
  'ec-p384': ec(384, '06052b81040022'),
  'ec-p521': ec(521, '06052b81040023'),
  'rsa-2048': rsa(2048),
  'rsa-3072': rsa(3072),
  'rsa-4096': rsa(4096),
  ed25519: {
    generate: CKM_EC_EDWARDS_KEY_PAIR_GEN,
    sign: CKM_EDDSA,
    bits: 256,
    parameters: Buffer.from('06032b6570', 'hex'),
  },
};

/** How keys without a public half are made and used. */
export interface SecretMechanism {
  readonly generate: number;
  readonly use: number;
  /** CKA_KEY_TYPE. */
  readonly kind: number;
}

const { CKK_AES, CKK_GENERIC_SECRET, CKM_AES_GCM, CKM_AES_KEY_GEN } = pkcs11js;
const aes: SecretMechanism = { generate: CKM_AES_KEY_GEN, use: CKM_AES_GCM, kind: CKK_AES };

/** Every such type. */
export const SECRET_MECHANISMS: Readonly<Record<SecretKeyType, SecretMechanism>> = {
  'aes-128': aes,
  'aes-192': aes,
  'aes-256': aes,
  'hmac-sha256': hmac(pkcs11js.CKM_SHA256_HMAC),
  'hmac-sha384': hmac(pkcs11js.CKM_SHA384_HMAC),
  'hmac-sha512': hmac(pkcs11js.CKM_SHA512_HMAC),
};

/**
 * The key types that a token makes and uses.
 * @param broken what it says it has and does not, see Vendor
 */
export function supportedKeyTypes(slot: Slot, broken: ReadonlySet<KeyType>): AnyKeyType[] {
  const there = new Set(slot.lib.C_GetMechanismList(slot.handle));
  const secrets = SECRET_KEY_TYPES.filter((keyType) => {
    const { generate, use } = SECRET_MECHANISMS[keyType];
    return there.has(generate) && there.has(use);
  });
  const pairs = supportedPairs(slot, there).filter((keyType) => !broken.has(keyType));
  return [...pairs, ...secrets];
}

function supportedPairs({ lib, handle }: Slot, there: ReadonlySet<number>): KeyType[] {
  const types = Object.entries(KEY_MECHANISMS) as [KeyType, KeyMechanism][];
  return types
    .filter(([, { generate, sign, bits }]) => {
      if (!there.has(generate) || !there.has(sign)) return false;
      const { minKeySize, maxKeySize } = lib.C_GetMechanismInfo(handle, generate);
      return minKeySize <= bits && bits <= maxKeySize;
    })
    .map(([keyType]) => keyType);
}

function ec(bits: number, parameters: string): KeyMechanism {
  return {
    generate: pkcs11js.CKM_EC_KEY_PAIR_GEN,
    sign: pkcs11js.CKM_ECDSA,
    bits,
    parameters: Buffer.from(parameters, 'hex'),
  };
}

function hmac(use: number): SecretMechanism {
  return { generate: pkcs11js.CKM_GENERIC_SECRET_KEY_GEN, use, kind: CKK_GENERIC_SECRET };
}

function rsa(bits: number): KeyMechanism {
  return { generate: pkcs11js.CKM_RSA_PKCS_KEY_PAIR_GEN, sign: pkcs11js.CKM_RSA_PKCS, bits };
}
