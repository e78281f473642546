import { timingSafeEqual } from 'node:crypto';
import { verifyWith } from '@gigvault/keystore/key-algorithm';
import type { SecretKeys, SignatureFormat } from '@gigvault/keystore/key-store';
import type { KeyVersion } from '../keys/stored-key.ts';
import type { Backends } from './backends.ts';
import { notSupported } from './make-key.ts';

type Version = Pick<KeyVersion, 'publicKey' | 'backend' | 'handle'>;

/** A signature by a version of a key; of one without a public half, the HMAC. Errors: KEY_UNAVAILABLE, OPERATION_NOT_SUPPORTED. */
export function makeSignature(
  backends: Backends,
  version: Version,
  data: Buffer,
  format: SignatureFormat,
): Promise<Buffer> {
  return version.publicKey === null
    ? secretKeysOf(backends, version).mac(version.handle, data)
    : backends.of(version.backend).sign(version.handle, data, { format });
}

/** Whether it is one by this version: by the public key, or by making the HMAC again. Errors: those of makeSignature, where there is no public key. */
export async function isSignature(
  backends: Backends,
  version: Version,
  { data, signature, format }: SignedData,
): Promise<boolean> {
  const { publicKey, handle } = version;
  if (publicKey !== null) return verifyWith(publicKey.keyObject, data, signature, format);
  const mac = await secretKeysOf(backends, version).mac(handle, data);
  return mac.length === signature.length && timingSafeEqual(mac, signature);
}

/** A signature and what it is over. */
export interface SignedData {
  readonly data: Buffer;
  readonly signature: Buffer;
  readonly format: SignatureFormat;
}

/** Errors: KEY_UNAVAILABLE; OPERATION_NOT_SUPPORTED when the backend has no such keys (any more). */
export function secretKeysOf(
  backends: Backends,
  { backend }: Pick<Version, 'backend'>,
): SecretKeys {
  const { secretKeys } = backends.of(backend);
  if (secretKeys) return secretKeys;
  throw notSupported(backend, 'has no keys without a public half');
}
