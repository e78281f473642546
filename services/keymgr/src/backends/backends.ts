import type { Role } from '@gigvault/access/permissions';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { KeyStore } from '@gigvault/keystore/key-store';

/** Where keys live: the configured backends by name. A key stays in the one that made it. */
export interface Backends {
  /** Makes the new keys. */
  readonly forNewKeys: KeyStore;
  readonly all: readonly KeyStore[];
  /** Errors: KEY_UNAVAILABLE for a name that is not configured (any more): nothing is looked for elsewhere. */
  of(backend: string): KeyStore;
  /** As somebody asks for it. Errors: NOT_FOUND. */
  named(backend: string): KeyStore;
  /** May people of these roles make and use keys there, as far as their permissions go? */
  admits(backend: string, roles: readonly Role[]): boolean;
}

/** Whom a backend is for, by its name; one that is not named here is for everybody. */
export type BackendRoles = Readonly<Record<string, readonly Role[] | undefined>>;

/** The stores by their `backend`. @param forNewKeys the backend of new keys, one of them */
export function backendsOf(
  stores: readonly KeyStore[],
  forNewKeys: string,
  rolesOf: BackendRoles = {},
): Backends {
  const byName = new Map(stores.map((store) => [store.backend, store]));
  const of = (backend: string): KeyStore => {
    const store = byName.get(backend);
    if (store !== undefined) return store;
    throw new GigvaultError(
      'KEY_UNAVAILABLE',
      `The key backend '${backend}' is not configured; there is ${[...byName.keys()].join(', ')}.`,
    );
  };
  const named = (backend: string): KeyStore => {
    const store = byName.get(backend);
    if (store !== undefined) return store;
    const names = [...byName.keys()].join(', ');
    const message = `There is no key backend '${backend}'; there is ${names}.`;
    throw new GigvaultError('NOT_FOUND', message, { details: { backend } });
  };
  const admits = (backend: string, roles: readonly Role[]): boolean => {
    const only = Object.hasOwn(rolesOf, backend) ? rolesOf[backend] : undefined;
    return only === undefined || roles.some((role) => only.includes(role));
  };
  return { forNewKeys: of(forNewKeys), all: stores, of, named, admits };
}
