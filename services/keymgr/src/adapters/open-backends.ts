import type { SecretReference, SecretResolver } from '@gigvault/config/secret';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { orphanedKeyFiles } from '@gigvault/keystore/key-file-rotation';
import {
  givenMasterKeys,
  hasMasterKey,
  type MasterKeys,
  masterKeyFiles,
  masterKeyOf,
} from '@gigvault/keystore/master-key';
import { pkcs8KeyStore } from '@gigvault/keystore/pkcs8-key-store';
import type { Log } from '@gigvault/telemetry/log';
import type { Metrics } from '@gigvault/telemetry/metrics';
import type { Clock } from '@gigvault/time/clock';
import { type BackendRoles, type Backends, backendsOf } from '../backends/backends.ts';
import { FILES, type KeymgrConfig, keymgrPaths } from '../keymgr.config.ts';
import { backendIdentity, isElsewhere, type TellingKey } from './backend-identity.ts';
import { lossTellingKeyStore } from './loss-telling-key-store.ts';
import { meteredKeyStore } from './metered-key-store.ts';
import { type Closeable, openBackend } from './open-backend.ts';

/** Backends that are open, some with a process of their own. */
export interface OpenBackends extends Backends {
  /** Ends those processes. */
  close(): Promise<void>;
}

/** What they are opened with. */
interface BackendsContext {
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly log: Log;
  readonly secrets: SecretResolver;
  /** See backendIdentity. */
  tellingKeys(backend: string): Promise<readonly TellingKey[]>;
}

/**
 * Opens what the configuration names; a token is first asked for when it is first used. The encrypted files are opened when new keys go there, or when
 * their master key is there. Errors: KEY_UNAVAILABLE when the master key is missing, not one, not that of every key file, or readable by others; INVALID_ARGUMENT for
 * a URI that cannot be.
 */
export async function openBackends(
  config: KeymgrConfig,
  dataDir: string,
  { metrics, clock, log, secrets, tellingKeys }: BackendsContext,
): Promise<OpenBackends> {
  const stores: Closeable[] = await Promise.all(
    Object.entries(config.backends).map(([name, backend]) =>
      openBackend(name, backend, { log, secrets, dataDir }),
    ),
  );
  const { directory, masterKey } = keymgrPaths(config, dataDir);
  if (config.backend === FILES || masterKey === undefined || hasMasterKey(masterKey)) {
    const masterKeys = await openMasterKeys(config, dataDir, secrets);
    stores.push(pkcs8KeyStore({ directory, masterKeys }));
    await requireMasterKeysOfFiles(config, dataDir, masterKeys);
  }
  const told = await Promise.all(
    stores.map(async (store) => {
      const { backend, type } = store;
      if (!isElsewhere(type)) return lossTellingKeyStore(store);
      const read = () => tellingKeys(backend);
      return lossTellingKeyStore(store, await backendIdentity(store, read, clock));
    }),
  );
  return {
    ...backendsOf(
      told.map((store) => meteredKeyStore(store, metrics, clock)),
      config.backend,
      rolesOf(config),
    ),
    async close() {
      await Promise.all(stores.map((store) => store.close?.()));
    },
  };
}

/** Those of the files, or those that the configuration says where to find. */
async function openMasterKeys(
  config: KeymgrConfig,
  dataDir: string,
  secrets: SecretResolver,
): Promise<MasterKeys> {
  const { masterKey } = keymgrPaths(config, dataDir);
  if (masterKey !== undefined) return masterKeyFiles(masterKey);
  const read = async (place: SecretReference) => masterKeyOf(await secrets.resolve(place), place);
  return givenMasterKeys(
    await read(config.masterKey as SecretReference),
    await Promise.all(config.earlierMasterKeys.map(read)),
  );
}

/** Found at the start, not by the first signature. Errors: KEY_UNAVAILABLE. */
async function requireMasterKeysOfFiles(
  config: KeymgrConfig,
  dataDir: string,
  masterKeys: MasterKeys,
): Promise<void> {
  const { directory, masterKey } = keymgrPaths(config, dataDir);
  const { files, orphaned, under } = await orphanedKeyFiles(directory, masterKeys);
  if (orphaned === 0) return;
  const remedy =
    masterKey === undefined
      ? 'Name the place of the earlier one in keymgr.earlierMasterKeys.'
      : 'Restore it from a backup.';
  throw new GigvaultError(
    'KEY_UNAVAILABLE',
    `${masterKey ?? config.masterKey} holds the master key ${masterKeys.current().id}, but ${orphaned} of ${files} keys in ${directory} are under one that is not there (${under.join(', ')}). ${remedy}`,
  );
}

/** Whom each backend is for. */
function rolesOf({ backends, pkcs8 }: KeymgrConfig): BackendRoles {
  const named = Object.entries(backends).map(([name, { roles }]) => [name, roles] as const);
  return { ...Object.fromEntries(named), [FILES]: pkcs8.roles };
}
