import { existsSync } from 'node:fs';
import type { KeyStore } from '@gigvault/keystore/key-store';
import { readMasterKey } from '@gigvault/keystore/master-key';
import { memoryKeyStore } from '@gigvault/keystore/memory-key-store';
import { pkcs8KeyStore } from '@gigvault/keystore/pkcs8-key-store';
import type { Metrics } from '@gigvault/telemetry/metrics';
import { type Backends, backendsOf } from '../backends/backends.ts';
import { type BackendConfig, FILES, type KeymgrConfig, keymgrPaths } from '../keymgr.config.ts';
import { meteredKeyStore } from './metered-key-store.ts';

/** Backends that are open, some with a process of their own. */
export interface OpenBackends extends Backends {
  /** Ends those processes. */
  close(): Promise<void>;
}

type Closeable = KeyStore & { close?(): Promise<void> };

/**
 * Opens what the configuration names; a token is first asked for when it is first used. The encrypted files are opened when new keys go there, or when
 * their master key is there. Errors: KEY_UNAVAILABLE when the master key is missing, not one, or readable by others; INVALID_ARGUMENT for a URI or PIN that cannot be.
 */
export function openBackends(
  config: KeymgrConfig,
  dataDir: string,
  metrics: Metrics,
): OpenBackends {
  const stores: Closeable[] = Object.entries(config.backends).map(open);
  const { directory, masterKey } = keymgrPaths(config, dataDir);
  if (config.backend === FILES || existsSync(masterKey))
    stores.push(pkcs8KeyStore({ directory, masterKey: readMasterKey(masterKey) }));
  return {
    ...backendsOf(
      stores.map((store) => meteredKeyStore(store, metrics)),
      config.backend,
    ),
    async close() {
      await Promise.all(stores.map((store) => store.close?.()));
    },
  };
}

function open([backend]: [string, BackendConfig]): Closeable {
  return memoryKeyStore(backend);
}
