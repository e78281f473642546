import { type KeyObject, randomUUID } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import {
  generateKeyObject,
  signWith,
  softwareFacts,
  subjectPublicKeyInfo,
} from './key-algorithm.ts';
import { type KeyHandle, type KeyStore, parseKeyHandle } from './key-store.ts';
import { startSignature } from './streamed-signature.ts';

/** Keys that die with the process: for tests and for throw-away keys. */
export function memoryKeyStore(backend = 'memory'): KeyStore {
  const keys = new Map<KeyHandle, KeyObject>();

  function find(handle: KeyHandle): KeyObject {
    const key = keys.get(parseKeyHandle(handle));
    if (key === undefined)
      throw new GigvaultError('KEY_NOT_FOUND', `No key '${handle}' in memory.`);
    return key;
  }

  return {
    backend,
    async generate(keyType) {
      const { privateKey } = await generateKeyObject(keyType);
      const handle = parseKeyHandle(randomUUID());
      keys.set(handle, privateKey);
      return handle;
    },
    publicKey: async (handle) => subjectPublicKeyInfo(find(handle)),
    sign: async (handle, data, { format }) => signWith(find(handle), data, format),
    startSignature: async (handle, { format }) => startSignature(find(handle), format),
    async remove(handle) {
      keys.delete(parseKeyHandle(handle));
    },
    facts: async () => softwareFacts('memory', 'keys that die with this process'),
    check: async () => undefined,
  };
}
