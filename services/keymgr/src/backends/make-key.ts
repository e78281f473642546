import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { KeyHandle, KeyStore, NewKeyOptions } from '@gigvault/keystore/key-store';
import { isRsaKeyType, isSecretKeyType } from '@gigvault/keystore/key-types';
import { type PairKeyInfo, readPairKey } from '@gigvault/keystore/pair-key';
import type { KeySpec } from '../keys/key-spec.ts';
import { type KeyVersion, type VersionName, versionName } from '../keys/stored-key.ts';
import type { Backends } from './backends.ts';

/**
 * A new key in a backend. Nobody names it yet: who does not store it removes it. Errors: NOT_FOUND (backend), OPERATION_NOT_SUPPORTED for what the
 * backend does not make, KEY_UNAVAILABLE.
 *
 * @param backend undefined: the one of new keys
 */
export async function makeKey(
  { backends }: { readonly backends: Backends },
  spec: KeySpec,
  which: VersionName,
  backend: string | undefined,
): Promise<Pick<KeyVersion, 'publicKey' | 'backend' | 'handle'>> {
  const keyStore = backend === undefined ? backends.forNewKeys : backends.named(backend);
  const handle = await generateIn(keyStore, spec, {
    label: which.keyId,
    name: versionName(which),
  });
  const publicKey = await publicKeyIn(keyStore, spec, handle);
  return { publicKey, backend: keyStore.backend, handle };
}

/** The public half of a key that a backend has made. Errors: KEY_UNAVAILABLE. */
export async function publicKeyIn(
  keyStore: KeyStore,
  { keyType }: Pick<KeySpec, 'keyType'>,
  handle: KeyHandle,
): Promise<PairKeyInfo | null> {
  return isSecretKeyType(keyType) ? null : readPairKey(await keyStore.publicKey(handle));
}

/** A new key in this backend, as KeyStore.generate. Errors: OPERATION_NOT_SUPPORTED, KEY_UNAVAILABLE. */
export async function generateIn(
  keyStore: KeyStore,
  { keyType, usage }: KeySpec,
  names: NewKeyOptions,
): Promise<KeyHandle> {
  const { backend, secretKeys, privateDecryption } = keyStore;
  if (isSecretKeyType(keyType)) {
    if (secretKeys) return secretKeys.generate(keyType, names);
    throw notSupported(backend, `makes no keys of type ${keyType}`);
  }
  if (usage === 'sign') return keyStore.generate(keyType, names);
  if (privateDecryption && isRsaKeyType(keyType)) return privateDecryption.generate(keyType, names);
  throw notSupported(backend, 'makes no private keys that decrypt');
}

/** OPERATION_NOT_SUPPORTED. @param what goes on after the backend's name */
export function notSupported(backend: string, what: string): GigvaultError {
  return new GigvaultError('OPERATION_NOT_SUPPORTED', `Backend '${backend}' ${what}.`, {
    details: { backend },
  });
}
