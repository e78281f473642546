import { existsSync, readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { createEventLog, type EventLog } from '@gigvault/database/event-log';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { HealthCheck, ServiceContext } from '@gigvault/host/service';
import { pkcs8File, secretFile } from '@gigvault/keystore/key-file';
import { createMasterKey, hasMasterKey } from '@gigvault/keystore/master-key';
import type { Worker } from '@gigvault/time/worker';
import type { Pool } from 'pg';
import { cachedKeyTable } from './adapters/cached-key-table.ts';
import { circuitBreaker, underBreaker } from './adapters/circuit-breaker.ts';
import { keyCounter } from './adapters/key-counter.ts';
import { backendsBeside, backendsOfServices, keysIn, tellingKeys } from './adapters/key-places.ts';
import { openBackends } from './adapters/open-backends.ts';
import { pgBackendTestTable } from './adapters/pg-backend-test-table.ts';
import { pgEncryptionTable } from './adapters/pg-encryption-table.ts';
import { pgEventWriter } from './adapters/pg-event-writer.ts';
import { pgKeyTable } from './adapters/pg-key-table.ts';
import { pgKeyUsage } from './adapters/pg-key-usage.ts';
import { pgSignatureTable } from './adapters/pg-signature-table.ts';
import { useLimits } from './adapters/use-limits.ts';
import { FILES, type KeymgrConfig, keymgrPaths } from './keymgr.config.ts';
import type { KeyDeps } from './keys/key-deps.ts';
import type { RefusalDeps } from './keys/refuse-use.ts';
import type { BackendTestTable } from './ports/backend-test-table.ts';
import type { EncryptionTable } from './ports/encryption-table.ts';
import type { EventWriter } from './ports/event-writer.ts';
import type { SignListDeps } from './signing/sign-list.ts';
import { singleFlight } from './signing/single-flight.ts';

/** What the service is made of. Bootstrap opens one too, before anything listens. */
export interface Keymgr {
  readonly keys: KeyDeps & RefusalDeps;
  readonly encryptions: EncryptionTable;
  readonly signing: SignListDeps;
  readonly eventLog: EventLog;
  readonly events: EventWriter;
  readonly backendTests: BackendTestTable;
  readonly workers: readonly Worker[];
  readonly healthChecks: readonly HealthCheck[];
  /** Ends what the backends have begun. Last: workers may still sign. */
  close(): Promise<void>;
}

/** The parts of a service's context that keymgr works with. */
export type KeymgrContext = Pick<
  ServiceContext<KeymgrConfig>,
  'config' | 'dataDir' | 'database' | 'clock' | 'log' | 'metrics' | 'secrets'
>;

/**
 * Wires backends, tables and flows. Errors: those of openBackends; keymgr does not start without its keys.
 */
export async function openKeymgr(context: KeymgrContext): Promise<Keymgr> {
  const { config, dataDir, database: pool, clock, log } = context;
  const backends = await openBackends(config, dataDir, {
    ...context,
    tellingKeys: (backend) => tellingKeys(pool, backend),
  });
  const serving = await backendsOfServices(pool);
  const eventLog = createEventLog({ pool, producer: 'keymgr', consumers: ['audit'], clock });
  const breaker = circuitBreaker(log, clock);
  const keys = underBreaker(pgKeyTable(pool, eventLog), breaker);
  const signatures = underBreaker(pgSignatureTable(pool, eventLog, clock), breaker);
  const usage = pgKeyUsage({ pool, eventLog, breaker, clock, log });
  const limits = useLimits(config.limits, { usage, clock });
  return {
    keys: { backends, keys, limits, clock, usage, log },
    encryptions: underBreaker(pgEncryptionTable(pool, eventLog), breaker),
    signing: {
      backends,
      keys: cachedKeyTable(keys, clock),
      signatures,
      usage,
      limits,
      inFlight: singleFlight(),
      log,
      clock,
      openLists: new Map(),
    },
    eventLog,
    events: underBreaker(pgEventWriter(pool, eventLog), breaker),
    backendTests: underBreaker(pgBackendTestTable(pool), breaker),
    workers: [eventLog.worker, usage.worker, keyCounter(context, pool)],
    healthChecks: backends.all.map((store) => ({
      name: store.backend === config.backend ? 'keystore' : `keystore.${store.backend}`,
      check: () => store.check(),
      ...(store.backend !== config.backend && !serving.has(store.backend)
        ? { blocksReadiness: false as const }
        : {}),
    })),
    close: () => backends.close(),
  };
}

/**
 * The files that are gone of the keys that the table knows, and of their earlier versions, and their folder. Asked before anything opens a keymgr; of files, not of their content. A key whose
 * destruction has begun may have lost its file.
 */
export async function lostKeys(
  config: KeymgrConfig,
  dataDir: string,
  pool: Pool,
): Promise<{ readonly directory: string; readonly files: readonly string[] }> {
  const { directory } = keymgrPaths(config, dataDir);
  const files = (await keysIn(pool, FILES))
    .map(({ keyId, handle, isPair }) => ({
      keyId,
      file: (isPair ? pkcs8File : secretFile)(directory, handle),
    }))
    .filter(({ file }) => !existsSync(file))
    .map(({ keyId, file }) => `${basename(file)} (${keyId})`);
  return { directory, files };
}

/**
 * The backends that have keys and are not configured, each with one of its keys. Asked before anything opens a keymgr: nothing could be signed with them.
 */
export function lostBackends(config: KeymgrConfig, pool: Pool): ReturnType<typeof backendsBeside> {
  return backendsBeside(pool, [FILES, ...Object.keys(config.backends)]);
}

/**
 * Makes the master key where the configuration says, unless it is there, or no key was or will be under it. Bootstrap calls it before `openKeymgr`; the service never does.
 * Errors: KEY_UNAVAILABLE when the master key is gone but key files are there: a new one could not open them.
 *
 * @returns true when this call made it.
 */
export async function prepareMasterKey(config: KeymgrConfig, dataDir: string): Promise<boolean> {
  const { directory, masterKey } = keymgrPaths(config, dataDir);
  const isFirst = !existsSync(directory) || readdirSync(directory).length === 0;
  if (isFirst && config.backend !== FILES) return false;
  if (masterKey === undefined) return false;
  if (!isFirst && !hasMasterKey(masterKey)) {
    throw new GigvaultError(
      'KEY_UNAVAILABLE',
      `The master key ${masterKey} is gone, and the keys in ${directory} cannot be opened without it. Restore it from a backup.`,
    );
  }
  return createMasterKey(masterKey);
}
