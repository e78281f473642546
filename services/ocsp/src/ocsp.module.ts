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
import { periodic, type Worker } from '@gigvault/time/worker';
import { Module } from '@nestjs/common';
import { OcspInit1764000000000 } from '../migrations/1764000000000-ocsp-init.ts';
import { OcspStatusEnd1764200000000 } from '../migrations/1764200000000-ocsp-status-end.ts';
import { pgFreshnessStore } from './adapters/pg-freshness-store.ts';
import { pgResponderStore } from './adapters/pg-responder-store.ts';
import { pgStatusListener } from './adapters/pg-status-listener.ts';
import { pgStatusPruner } from './adapters/pg-status-pruner.ts';
import { pgStatusChanges, pgStatusStore } from './adapters/pg-status-store.ts';
import { rpcResponderAuthority } from './adapters/rpc-responder-authority.ts';
import { rpcResponseSigner } from './adapters/rpc-response-signer.ts';
import { rpcStatusSource } from './adapters/rpc-status-source.ts';
import { watchedEventLog } from './adapters/watched-event-log.ts';
import { ocspRoutes } from './api/http.ts';
import { checkFreshness, checkRenewal, checkSigner } from './health/check-health.ts';
import { type OcspConfig, ocspConfig } from './ocsp.config.ts';
import type { CertificateKey } from './ports/certificate-state.ts';
import { keepResponders, loadResponders } from './responder/keep-responders.ts';
import {
  createResponderDirectory,
  type ResponderDirectory,
} from './responder/responder-directory.ts';
import { applyChanges } from './revocation/apply-changes.ts';
import { createFreshness, type Freshness } from './revocation/freshness.ts';
import { type AnswerDeps, answerRequest } from './status/answer-request.ts';
import { createResponseCache } from './status/response-cache.ts';
import { createStatusIndex } from './status/status-index.ts';

/** Milliseconds between two notes of the freshness. */
const FRESHNESS_INTERVAL = 15_000;

@Module({})
class OcspModule {}

/** Answers OCSP requests (RFC 6960) for certificates of the public CAs. */
export const ocspService: ServiceDefinition<OcspConfig> = {
  name: 'ocsp',
  zone: 'edge',
  config: ocspConfig,
  migrations: [OcspInit1764000000000, OcspStatusEnd1764200000000],
  serves: [],
  module: (context) => {
    const parts = wireOcsp(context);
    return {
      module: OcspModule,
      providers: [
        { provide: HTTP_ROUTES, useValue: parts.routes },
        { provide: WORKERS, useValue: parts.workers },
        { provide: HEALTH_CHECKS, useValue: parts.healthChecks },
      ],
    };
  },
};

type Context = ServiceContext<OcspConfig>;

/** The parts of one OCSP service. */
function wireOcsp(context: Context) {
  const { config, clock, log, database } = context;
  const freshness = createFreshness();
  const responses = createResponseCache(config.responseCacheSize);
  const answering: AnswerDeps = {
    responders: createResponderDirectory(() => responses.clear()),
    statuses: createStatusIndex({
      store: pgStatusStore(database, config.maxOpenSignatures),
      source: rpcStatusSource(context.client(RPC.certificate, 'ca'), config.maxOpenQuestions),
      freshness,
      clock,
      maxAge: config.staleAfter,
      maxEntries: config.stateCacheEntries,
    }),
    responses,
    signer: rpcResponseSigner(context.client(RPC.keySigning, 'keymgr'), config.maxOpenSignatures),
    validity: config.validity,
    clock,
    clockGuard: context.clockGuard,
    log,
  };
  const renewal = responderWorker(context, answering);
  return {
    routes: ocspRoutes({
      answer: (der) => answerRequest(answering, der),
      clock,
      metrics: context.metrics,
      httpMaxAge: config.httpMaxAge,
    }),
    workers: [...statusWorkers(context, answering, freshness, renewal), renewal] satisfies Worker[],
    healthChecks: [
      clockRight('ocsp.clock', context.clockGuard),
      { name: 'ocsp.signer', check: async () => checkSigner(answering.responders, clock) },
      {
        name: 'ocsp.renewal',
        check: async () => checkRenewal(answering.responders, clock),
        blocksReadiness: false,
      },
      {
        name: 'ocsp.freshness',
        check: async () => checkFreshness(freshness, clock, config.staleAfter),
        blocksReadiness: false,
      },
    ] satisfies HealthCheck[],
  };
}

function statusWorkers(
  context: Context,
  { statuses, responses, responders }: AnswerDeps,
  freshness: Freshness,
  renewal: { wake(): void },
): Worker[] {
  const { clock, log, database } = context;
  const store = pgFreshnessStore(database);
  // States first: a response that is made between the two reads the new state.
  const changed = (keys: readonly CertificateKey[]) => {
    statuses.changed(keys);
    responses.purge(keys);
  };
  const remember = periodic({
    name: 'ocsp.freshness',
    clock,
    interval: FRESHNESS_INTERVAL,
    round: async () => {
      const now = clock.now();
      const remembered = await store.load();
      if (remembered !== undefined && remembered <= now) freshness.advance(remembered);
      const asOf = freshness.asOf();
      if (asOf !== undefined && asOf !== remembered) await store.save(asOf, now);
    },
    onError: (error) => log.warn({ error }, 'the freshness is not noted'),
  });
  const listener = pgStatusListener({
    pool: database,
    clock,
    log,
    changed,
    reset: () => {
      statuses.clear();
      responses.distrust();
    },
  });
  const consumer = followCa(context, {
    source: watchedEventLog(context.client(RPC.eventLog, 'ca'), freshness, context.clockGuard),
    handle: (client, changes) => applyChanges(pgStatusChanges(client), changes),
    committed(changes) {
      changed(changes);
      if (changes.some((change) => isOfResponder(change, responders))) renewal.wake();
    },
    issuersChanged: renewal.wake,
  });
  const pruner = pgStatusPruner(context, context.config.keepEnded);
  return [listener, remember, consumer, pruner];
}

/** A responder's certificate was revoked. */
function isOfResponder(change: CertificateChange, responders: ResponderDirectory): boolean {
  const { status, issuerId, serialNumber } = change;
  return (
    status === 'revoked' &&
    responders.all().some((one) => one.issuerId === issuerId && one.serialNumber === serialNumber)
  );
}

function responderWorker(context: Context, { responders, statuses }: AnswerDeps) {
  const { clock, log, database, metrics } = context;
  const expiry = metrics.gauge(
    'ocsp_signer_not_after_timestamp_seconds',
    'Unix time at which the OCSP responder certificate ends.',
    ['ca'] as const,
  );
  const deps = {
    authority: rpcResponderAuthority({
      issuer: context.client(RPC.issuer, 'ca'),
      issuance: context.client(RPC.issuance, 'ca'),
      key: context.client(RPC.key, 'keymgr'),
    }),
    store: pgResponderStore(database),
    isRevoked: async (issuerId: string, serialNumber: string) =>
      (await statuses.lookup(issuerId, serialNumber)).state?.status === 'revoked',
    responders,
    clock,
    log,
  };
  return periodic({
    name: 'ocsp.responder',
    clock,
    interval: context.config.responderInterval,
    round: async () => {
      await loadResponders(deps);
      try {
        await keepResponders(deps);
      } finally {
        for (const one of responders.all()) expiry.set({ ca: one.issuerId }, one.notAfter / 1000);
      }
    },
    onError: (error) => log.warn({ error }, 'OCSP responder certificates are not renewed'),
  });
}
