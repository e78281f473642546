import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { KeyHandle, KeyStore } from '@gigvault/keystore/key-store';
import { keyLost } from '../backends/backends.ts';
import type { BackendIdentity } from './backend-identity.ts';

/**
 * The same backend for keys that the table knows: one that the backend does not have any more is KEY_LOST, not KEY_NOT_FOUND, which would say that there is no such
 * key and name a handle that only the backend knows. One that may be changed for another is asked who it is when a key is not found, and before anything is made or removed
 * there: as long as it is not the right one all that is KEY_UNAVAILABLE, and so is a check. What succeeds is not held up.
 *
 * @param identity undefined: it is always the right one
 */
export function lossTellingKeyStore(store: KeyStore, identity?: BackendIdentity): KeyStore {
  const { backend, secretKeys, privateDecryption, namedKeys } = store;
  const told = <A extends unknown[], T>(use: (handle: KeyHandle, ...args: A) => Promise<T>) => {
    return (handle: KeyHandle, ...args: A): Promise<T> =>
      use(handle, ...args).catch(async (cause: unknown) => {
        if (!isNotFound(cause)) throw cause;
        throw identity ? await identity.whyNotFound(handle, cause) : keyLost(backend, cause);
      });
  };
  const inRightOne = <A extends unknown[], T>(change: (...args: A) => Promise<T>) => {
    return async (...args: A): Promise<T> => {
      await identity?.require();
      return change(...args);
    };
  };
  const madeInRightOne = <A extends unknown[]>(make: (...args: A) => Promise<KeyHandle>) => {
    return async (...args: A): Promise<KeyHandle> => {
      const handle = await inRightOne(make)(...args);
      // A call that waits for a new driver may have met another token: a key there is given to nobody.
      await identity?.require();
      return handle;
    };
  };
  return {
    ...store,
    generate: madeInRightOne(store.generate),
    publicKey: told(store.publicKey),
    sign: told(store.sign),
    async startSignature(handle, options) {
      const signing = await told(store.startSignature)(handle, options);
      const sign = told(() => signing.sign());
      return { update: (part) => signing.update(part), sign: () => sign(handle) };
    },
    // A key that is in another token than this one would be taken for destroyed.
    remove: inRightOne(store.remove),
    async facts() {
      const facts = await store.facts();
      await identity?.look();
      return facts;
    },
    async check() {
      await store.check();
      await identity?.look();
    },
    ...(namedKeys && { namedKeys: { remove: inRightOne(namedKeys.remove) } }),
    ...(secretKeys && {
      secretKeys: {
        generate: madeInRightOne(secretKeys.generate),
        encrypt: told(secretKeys.encrypt),
        decrypt: told(secretKeys.decrypt),
        mac: told(secretKeys.mac),
      },
    }),
    ...(privateDecryption && {
      privateDecryption: {
        generate: madeInRightOne(privateDecryption.generate),
        decrypt: told(privateDecryption.decrypt),
      },
    }),
  };
}

function isNotFound(error: unknown): boolean {
  return error instanceof GigvaultError && error.code === 'KEY_NOT_FOUND';
}
