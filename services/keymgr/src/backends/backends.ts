import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { KeyStore } from '@gigvault/keystore/key-store';

/** Where keys live: the configured backends by name. A key stays in the one that made it. */
export interface Backends {
  /** Makes the new keys. */
  readonly forNewKeys: KeyStore;
  readonly all: readonly KeyStore[];
  /** Errors: KEY_UNAVAILABLE for a name that is not configured (any more): nothing is looked for elsewhere. */
  of(backend: string): KeyStore;
}

/** The stores by their `backend`. @param forNewKeys the backend of new keys, one of them */
export function backendsOf(stores: readonly KeyStore[], forNewKeys: string): Backends {
  const byName = new Map(stores.map((store) => [store.backend, store]));
  const of = (backend: string): KeyStore => {
    const store = byName.get(backend);
    if (store !== undefined) return store;
    throw new GigvaultError(
      'KEY_UNAVAILABLE',
      `The key backend '${backend}' is not configured; there is ${[...byName.keys()].join(', ')}.`,
    );
  };
  return { forNewKeys: of(forNewKeys), all: stores, of };
}
