import type { KeyObject } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import {
  generateKeyObject,
  signWith,
  softwareFacts,
  subjectPublicKeyInfo,
} from './key-algorithm.ts';
import {
  type KeyHandle,
  type KeyStore,
  type NewKeyOptions,
  parseKeyHandle,
  randomHandle,
} from './key-store.ts';
import type { PairKeyType } from './key-types.ts';
import { decryptRsa } from './rsa-encryption.ts';
import {
  decryptWith,
  encryptWith,
  generateSecretKey,
  macWith,
  type SecretKey,
} from './secret-key.ts';
import { startSignature } from './streamed-signature.ts';

/** Keys that die with the process: for tests and for throw-away keys. */
export function memoryKeyStore(
  backend = 'memory',
): KeyStore & Required<Pick<KeyStore, 'secretKeys' | 'privateDecryption' | 'volatileKeys'>> {
  const keys = new Map<KeyHandle, KeyObject>();
  const secrets = new Map<KeyHandle, SecretKey>();

  function find<K>(from: ReadonlyMap<KeyHandle, K>, handle: KeyHandle): K {
    const key = from.get(parseKeyHandle(handle));
    if (key === undefined)
      throw new GigvaultError('KEY_NOT_FOUND', `No key '${handle}' in memory.`);
    return key;
  }

  const has = (handle: KeyHandle) => keys.has(handle) || secrets.has(handle);

  function keep<K>(among: Map<KeyHandle, K>, key: K, { handle = randomHandle() }: NewKeyOptions) {
    among.set(parseKeyHandle(handle), key);
    return handle;
  }

  const generate = async (keyType: PairKeyType, options: NewKeyOptions = {}) =>
    keep(keys, (await generateKeyObject(keyType)).privateKey, options);

  return {
    backend,
    type: 'memory',
    generate,
    publicKey: async (handle) => subjectPublicKeyInfo(find(keys, handle)),
    sign: async (handle, data, { format }) => signWith(find(keys, handle), data, format),
    startSignature: async (handle, { format }) => startSignature(find(keys, handle), format),
    async remove(handle) {
      keys.delete(parseKeyHandle(handle));
      secrets.delete(handle);
    },
    missing: async (handles) => handles.filter((handle) => !has(parseKeyHandle(handle))),
    facts: async () => softwareFacts('keys that die with this process'),
    check: async () => undefined,
    volatileKeys: { has },
    secretKeys: {
      generate: async (keyType, options = {}) => keep(secrets, generateSecretKey(keyType), options),
      encrypt: async (handle, plaintext, data) =>
        encryptWith(find(secrets, handle), plaintext, data),
      decrypt: async (handle, sealed, data) => decryptWith(find(secrets, handle), sealed, data),
      mac: async (handle, data) => macWith(find(secrets, handle), data),
    },
    privateDecryption: {
      generate,
      decrypt: async (handle, ciphertext, label) =>
        decryptRsa(find(keys, handle), ciphertext, label),
    },
  };
}
