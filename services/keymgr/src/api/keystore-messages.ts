import type { Backend, Key } from '@gigvault/proto/keychain/v1/keystore';
import type { BackendState } from '../backends/inspect-backends.ts';
import type { KeyVersion, StoredKey } from '../keys/stored-key.ts';
import { backendJson } from './http-backends.ts';
import { toJson, toJsonWithVersions } from './key-json.ts';

/** A key as a message: what REST shows, in the fields of the contract. */
export function keyMessage(key: StoredKey): Key {
  const { publicKey = '', keySize = 0, curve = '', destroyAt = '', ...same } = toJson(key);
  return { ...same, publicKeyPem: publicKey, keySize, curve, destroyAt, versions: [] };
}

/** The same with its versions. */
export function keyWithVersionsMessage(key: StoredKey, earlier: readonly KeyVersion[]): Key {
  const versions = toJsonWithVersions(key, earlier).versions.map(
    ({ publicKey = '', ...version }) => ({ ...version, publicKeyPem: publicKey }),
  );
  return { ...keyMessage(key), versions };
}

/** A backend as a message. */
export function backendMessage(backend: BackendState): Backend {
  const shown = backendJson(backend);
  return {
    ...shown,
    problem: shown.problem ?? '',
    description: shown.description ?? '',
    keyTypes: shown.keyTypes ?? [],
    abilities: shown.abilities ?? [],
    hardware: shown.hardware ?? false,
    fips: shown.fips,
  };
}

/** A message's fields without those that are empty or 0, which is how a message says that a field is not there. */
export function presentFields<M extends object>(message: M): Partial<M> {
  const present = Object.entries(message).filter(([, value]) => value !== '' && value !== 0);
  return Object.fromEntries(present) as Partial<M>;
}
