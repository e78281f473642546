import type { Backend, Key } from '@gigvault/proto/keychain/v1/keystore';
import type { BackendState } from '../backends/inspect-backends.ts';
import type { KeyVersion, StoredKey } from '../keys/stored-key.ts';
import { backendJson } from './http-backends.ts';
import { type LostKeys, toJson, toJsonWithVersions } from './key-json.ts';

/** A key as a message: what REST shows, in the fields of the contract. */
export function keyMessage(key: StoredKey, backends: LostKeys): Key {
  const shown = toJson(key, backends);
  const { publicKey = '', keySize = 0, curve = '', destroyAt = '', lost = false, ...same } = shown;
  return { ...same, publicKeyPem: publicKey, keySize, curve, destroyAt, lost, versions: [] };
}

/** The same with its versions. */
export function keyWithVersionsMessage(
  key: StoredKey,
  earlier: readonly KeyVersion[],
  backends: LostKeys,
): Key {
  const versions = toJsonWithVersions(key, earlier, backends).versions.map(
    ({ publicKey = '', lost = false, ...version }) => ({
      ...version,
      publicKeyPem: publicKey,
      lost,
    }),
  );
  return { ...keyMessage(key, backends), versions };
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
    uses: shown.uses ?? [],
    hardware: shown.hardware ?? false,
    fips: shown.fips,
  };
}

/** A message's fields without those that are empty or 0, which is how a message says that a field is not there. */
export function presentFields<M extends object>(message: M): Partial<M> {
  const present = Object.entries(message).filter(([, value]) => value !== '' && value !== 0);
  return Object.fromEntries(present) as Partial<M>;
}
