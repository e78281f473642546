import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningService, runService } from '@gigvault/host/run-service';
import { RPC } from '@gigvault/rpc/contracts';
import { createInProcessBroker, type InProcessBroker } from '@gigvault/rpc/in-process-transport';
import { readPeerTable } from '@gigvault/rpc/peers';
import type { PeerName } from '@gigvault/rpc/service-name';
import { silentLog } from '@gigvault/telemetry/log';
import { startTestDatabase } from '@gigvault/testkit/test-database';
import { systemClock } from '@gigvault/time/clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import { createCaKey } from '../src/ca-keys/create-ca-key.ts';
import { type KeymgrConfig, keymgrConfig } from '../src/keymgr.config.ts';
import { keymgrService } from '../src/keymgr.module.ts';
import { type KeymgrContext, openKeymgr, prepareMasterKey } from '../src/open-keymgr.ts';
import { quietContext } from './quiet-context.ts';
import { ISSUER, leafTbs } from './signing-fixture.ts';

/** A keymgr with its database, keys in files and the CA key `ca-issuing`, as a process with all services runs it. */
export interface RunningKeymgr extends KeymgrContext {
  readonly config: KeymgrConfig;
  readonly service: RunningService;
  readonly broker: InProcessBroker;
  /** Clients of its RPCs. */
  signing(caller: PeerName): ReturnType<typeof signingOf>;
  keys(caller: PeerName): ReturnType<typeof keysOf>;
  stop(): Promise<void>;
}

const signingOf = (broker: InProcessBroker, caller: PeerName) =>
  broker.client(caller, RPC.keySigning, 'keymgr');
const keysOf = (broker: InProcessBroker, caller: PeerName) =>
  broker.client(caller, RPC.key, 'keymgr');

/** Starts one. @param backends beside the files, as in the configuration */
export async function startKeymgr(backends: object = {}): Promise<RunningKeymgr> {
  const config = keymgrConfig.parse({ backends, limits: { people: { generate: 100 } } });
  const dataDir = await mkdtemp(join(tmpdir(), 'gigvault-keymgr-'));
  const started = await startTestDatabase();
  const database = await started.pool('keymgr', keymgrService.migrations);
  const context = quietContext({ config, dataDir, database });
  await prepareMasterKey(config, dataDir);
  const bootstrap = await openKeymgr(context);
  await createCaKey(bootstrap.keys, { keyId: 'ca-issuing', keyType: 'ec-p256', subject: ISSUER });
  const broker = createInProcessBroker({ encode: true });
  const service = await runService(keymgrService, config, {
    ...context,
    environment: 'development',
    trustDomain: 'gigvault.local',
    publicUrl: 'https://localhost:8443',
    peers: readPeerTable(
      await readFile(new URL('../../../deploy/peers.yaml', import.meta.url), 'utf8'),
    ),
    clockGuard: createClockGuard(systemClock),
    dataDir: () => dataDir,
    pool: () => database,
    log: () => silentLog,
    authenticator: () => ({ authenticate: () => Promise.reject(new Error('not used here')) }),
    client: broker.client,
  });
  broker.register(service.table);
  await service.startWorkers();
  return {
    ...context,
    service,
    broker,
    signing: (caller) => signingOf(broker, caller),
    keys: (caller) => keysOf(broker, caller),
    async stop() {
      await service.stop();
      await bootstrap.close();
      await started.stop();
      await rm(dataDir, { recursive: true });
    },
  };
}

/** What `ca` asks of its key. */
export const certSign = (tbs = leafTbs()) => ({
  keyId: 'ca-issuing',
  purpose: 'certSign',
  intentId: crypto.randomUUID() as string,
  tbs,
});
