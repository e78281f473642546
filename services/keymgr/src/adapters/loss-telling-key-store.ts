import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { KeyStore } from '@gigvault/keystore/key-store';
import { keyLost } from '../backends/backends.ts';

/**
 * The same backend for keys that the table knows: one that the backend does not have any more is KEY_LOST, not KEY_NOT_FOUND, which would say that there is no such
 * key and name a handle that only the backend knows.
 */
export function lossTellingKeyStore(store: KeyStore): KeyStore {
  const { backend, secretKeys, privateDecryption } = store;
  const told = <A extends unknown[], T>(use: (...args: A) => Promise<T>) => {
    return (...args: A): Promise<T> =>
      use(...args).catch((cause: unknown) => {
        throw isNotFound(cause) ? keyLost(backend, cause) : cause;
      });
  };
  return {
    ...store,
    publicKey: told(store.publicKey),
    sign: told(store.sign),
    async startSignature(handle, options) {
      const signing = await told(store.startSignature)(handle, options);
      return { update: (part) => signing.update(part), sign: told(() => signing.sign()) };
    },
    ...(secretKeys && {
      secretKeys: {
        generate: secretKeys.generate,
        encrypt: told(secretKeys.encrypt),
        decrypt: told(secretKeys.decrypt),
        mac: told(secretKeys.mac),
      },
    }),
    ...(privateDecryption && {
      privateDecryption: {
        generate: privateDecryption.generate,
        decrypt: told(privateDecryption.decrypt),
      },
    }),
  };
}

function isNotFound(error: unknown): boolean {
  return error instanceof GigvaultError && error.code === 'KEY_NOT_FOUND';
}
