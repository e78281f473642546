import type { Role } from '@gigvault/access/permissions';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { KeyStore } from '@gigvault/keystore/key-store';
import type { KeyVersion } from '../keys/stored-key.ts';

/** Where keys live: the configured backends by name. A key stays in the one that made it. */
export interface Backends {
  /** Makes the new keys. */
  readonly forNewKeys: KeyStore;
  readonly all: readonly KeyStore[];
  /** Errors: KEY_UNAVAILABLE for a name that is not configured (any more): nothing is looked for elsewhere. */
  of(backend: string): KeyStore;
  /** As somebody asks for it. Errors: NOT_FOUND. */
  named(backend: string): KeyStore;
  /** Is the private key gone for good, with the process that held it? False where only the backend could say. */
  hasLost(version: Pick<KeyVersion, 'backend' | 'handle'>): boolean;
  /** May people of these roles make and use keys there, as far as their permissions go? */
  admits(backend: string, roles: readonly Role[]): boolean;
}

/** Whom a backend is for, by its name; one that is not named here is for everybody. */
export type BackendRoles = Readonly<Record<string, readonly Role[] | undefined>>;

/** KEY_LOST. */
export function keyLost(backend: string, cause?: unknown): GigvaultError {
  const message = `The private key of this version is not in its backend '${backend}' any more. Rotate the key, or destroy it.`;
  return new GigvaultError('KEY_LOST', message, { cause, details: { backend } });
}

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
  const hasLost = ({ backend, handle }: Pick<KeyVersion, 'backend' | 'handle'>): boolean =>
    byName.get(backend)?.volatileKeys?.has(handle) === false;
  return { forNewKeys: of(forNewKeys), all: stores, of, named, hasLost, admits };
}
