import { existsSync } from 'node:fs';
import type { KeyStore } from '@gigvault/keystore/key-store';
import { readMasterKey } from '@gigvault/keystore/master-key';
import { memoryKeyStore } from '@gigvault/keystore/memory-key-store';
import { pkcs8KeyStore } from '@gigvault/keystore/pkcs8-key-store';
import { pkcs11KeyStore } from '@gigvault/keystore/pkcs11/pkcs11-key-store';
import { parsePkcs11Uri } from '@gigvault/keystore/pkcs11/pkcs11-uri';
import type { Log } from '@gigvault/telemetry/log';
import type { Metrics } from '@gigvault/telemetry/metrics';
import { type BackendRoles, type Backends, backendsOf } from '../backends/backends.ts';
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
 * their master key is there. Errors: KEY_UNAVAILABLE when the master key is missing, not one, or readable by others; INVALID_ARGUMENT for a URI that cannot be.
 */
export function openBackends(
  config: KeymgrConfig,
  dataDir: string,
  { metrics, log }: { readonly metrics: Metrics; readonly log: Log },
): OpenBackends {
  const stores: Closeable[] = Object.entries(config.backends).map(([name, backend]) =>
    open(name, backend, log),
  );
  const { directory, masterKey } = keymgrPaths(config, dataDir);
  if (config.backend === FILES || existsSync(masterKey))
    stores.push(pkcs8KeyStore({ directory, masterKey: readMasterKey(masterKey) }));
  return {
    ...backendsOf(
      stores.map((store) => meteredKeyStore(store, metrics)),
      config.backend,
      rolesOf(config),
    ),
    async close() {
      await Promise.all(stores.map((store) => store.close?.()));
    },
  };
}

/** Whom each backend is for. */
function rolesOf({ backends, pkcs8 }: KeymgrConfig): BackendRoles {
  const named = Object.entries(backends).map(([name, { roles }]) => [name, roles] as const);
  return { ...Object.fromEntries(named), [FILES]: pkcs8.roles };
}

function open(backend: string, config: BackendConfig, log: Log): Closeable {
  if (config.type === 'memory') return memoryKeyStore(backend);
  const { uri, sessions } = config;
  const store = pkcs11KeyStore({
    uri: parsePkcs11Uri(uri),
    ...(sessions === undefined ? {} : { sessions }),
    // Whoever asks for a signature here has it verified: src/signing/to-be-signed.ts says by whom.
    verify: false,
    report: (event, message) =>
      log[event === 'lost' ? 'error' : 'info']({ backend, operation: 'token' }, message),
  });
  return { ...store, backend };
}
