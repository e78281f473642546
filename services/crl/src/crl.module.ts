import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { EventConsumer } from '@gigvault/database/event-consumer';
import { type CertificateChange, followCa } from '@gigvault/host/follow-ca';
import {
  clockRight,
  HEALTH_CHECKS,
  type HealthCheck,
  HTTP_ROUTES,
  type ServiceContext,
  type ServiceDefinition,
  WORKERS,
} from '@gigvault/host/service';
import { RPC } from '@gigvault/rpc/contracts';
import { LARGEST_LIST } from '@gigvault/rpc/message-size';
import { failureLog } from '@gigvault/telemetry/log';
import { periodic, type Worker } from '@gigvault/time/worker';
import { Module } from '@nestjs/common';
import { CrlInit1764000000000 } from '../migrations/1764000000000-crl-init.ts';
import { CrlEntryOrder1764100000000 } from '../migrations/1764100000000-crl-entry-order.ts';
import { CrlParts1764200000000 } from '../migrations/1764200000000-crl-parts.ts';
import { CrlRuns1764300000000 } from '../migrations/1764300000000-crl-runs.ts';
import { CrlLast1796100000000 } from '../migrations/1796100000000-crl-last.ts';
import { crlFiles } from './adapters/crl-files.ts';
import { rootCrlFile } from './adapters/file-root-crl.ts';
import { pgCrlStore } from './adapters/pg-crl-store.ts';
import { pgIssuerStore } from './adapters/pg-issuer-store.ts';
import { pgRevocationStore } from './adapters/pg-revocation-store.ts';
import { pgShardDirectory } from './adapters/pg-shard-directory.ts';
import { rpcCrlSigner } from './adapters/rpc-crl-signer.ts';
import { rpcIssuerSource } from './adapters/rpc-issuer-source.ts';
import { crlRoutes } from './api/http.ts';
import { type CrlConfig, crlConfig } from './crl.config.ts';
import { type KeepDeps, keepCrls } from './generation/keep-crls.ts';
import { followIssuers } from './issuers/follow-issuers.ts';
import { recordRevocations } from './revocation/record-revocations.ts';
import { checkFreshness, checkPublished } from './serving/check-freshness.ts';
import { checkRevocations } from './serving/check-revocations.ts';
import { createCrlGauges } from './serving/crl-gauges.ts';
import { createServedCrls, type ServedCrls } from './serving/served-crls.ts';

/** Its CRL is made offline. */
const ROOT = { issuerId: 'root', crlShard: 0 };

@Module({})
class CrlModule {}

/** Makes and serves the CRLs of every CA (RFC 5280 §5). */
export const crlService: ServiceDefinition<CrlConfig> = {
  name: 'crl',
  zone: 'inside',
  config: crlConfig,
  migrations: [
    CrlInit1764000000000,
    CrlEntryOrder1764100000000,
    CrlParts1764200000000,
    CrlRuns1764300000000,
    CrlLast1796100000000,
  ],
  serves: [],
  module: (context) => {
    const parts = wireCrl(context);
    return {
      module: CrlModule,
      providers: [
        { provide: HTTP_ROUTES, useValue: parts.routes },
        { provide: WORKERS, useValue: parts.workers },
        { provide: HEALTH_CHECKS, useValue: parts.healthChecks },
      ],
    };
  },
};

type Context = ServiceContext<CrlConfig>;

/** The parts of one CRL service. */
function wireCrl(context: Context) {
  const { config, clock, log, database } = context;
  const duration = context.metrics.histogram(
    'crl_generation_duration_seconds',
    'Time from a CRL being due until it is signed, published and served.',
    [],
  );
  const handedIn = config.rootCrlFile === undefined ? [] : [ROOT];
  const served = createServedCrls(crlFiles(join(context.dataDir, 'published')), handedIn);
  const directory = pgShardDirectory(database);
  const generator = generatorWorker(context, {
    store: pgCrlStore(database),
    directory,
    signer: rpcCrlSigner(context.client(RPC.keySigning, 'keymgr')),
    served,
    schedule: config,
    validity: config.validity,
    turn: () => setImmediate(),
    largest: LARGEST_LIST,
    clock,
    clockGuard: context.clockGuard,
    log,
    held: failureLog(log, 'no CRL is made by this clock', 'CRLs are made again'),
    timer: () => duration.startTimer({}),
  });
  const issuers = issuerWorker(context, served, generator.wake);
  const consumer = followCa(context, {
    handle: (client, changes) =>
      recordRevocations(pgRevocationStore(client), changes.filter(isRevoked), clock.now()),
    committed(changes) {
      if (changes.some(isRevoked)) generator.wake();
    },
    issuersChanged: issuers.wake,
  });
  return {
    routes: crlRoutes({ served, clock, httpMaxAge: config.httpMaxAge }),
    workers: [generator, issuers, consumer] satisfies Worker[],
    healthChecks: [
      clockRight('crl.clock', context.clockGuard),
      { name: 'crl.published', check: async () => checkPublished(served) },
      {
        name: 'crl.revocations',
        check: async () => checkRevocations(await directory.list(), config.coalesce, clock.now()),
        blocksReadiness: false,
      },
      {
        name: 'crl.freshness',
        check: async () => checkFreshness(served, clock),
        blocksReadiness: false,
      },
      {
        name: 'crl.consumer',
        check: async () => checkConsumer(consumer),
        blocksReadiness: false,
      },
    ] satisfies HealthCheck[],
  };
}

function isRevoked({ status }: CertificateChange): boolean {
  return status === 'revoked';
}

function checkConsumer(consumer: EventConsumer): void {
  const { failure } = consumer.progress();
  if (failure !== undefined) throw new Error(`the event log of ca is not followed: ${failure}`);
}

function generatorWorker(context: Context, deps: KeepDeps) {
  const { config, clock, log, metrics } = context;
  const readRoot = config.rootCrlFile === undefined ? undefined : rootCrlFile(config.rootCrlFile);
  const gauges = createCrlGauges(metrics);
  const rounds = metrics.counter(
    'crl_rounds_total',
    'Rounds of looking for CRLs that are due, whatever came of them.',
    [],
  );
  async function refreshRoot(): Promise<void> {
    try {
      await readRoot?.((crl) => deps.served.put(ROOT, crl));
    } catch (error) {
      log.warn({ error, ca: 'root' }, 'the root CRL file cannot be read, or not be taken up');
    }
  }
  return periodic({
    name: 'crl.generator',
    clock,
    interval: config.refreshInterval,
    round: async () => {
      await refreshRoot();
      try {
        return Math.min(await keepCrls(deps), config.refreshInterval);
      } finally {
        gauges.set(deps.served);
        rounds.inc();
      }
    },
    onError: (error) => log.warn({ error }, 'some CRLs are not published; trying again'),
  });
}

function issuerWorker(context: Context, served: ServedCrls, changed: () => void) {
  const { clock, log, database } = context;
  const deps = {
    source: rpcIssuerSource(context.client(RPC.issuer, 'ca')),
    store: pgIssuerStore(database),
    served,
    changed,
  };
  return periodic({
    name: 'crl.issuers',
    clock,
    interval: context.config.issuerInterval,
    round: () => followIssuers(deps),
    onError: (error) => log.warn({ error }, 'the list of issuers cannot be read'),
  });
}
