import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { servicePool } from '@gigvault/database/pools';
import { RPC } from '@gigvault/rpc/contracts';
import type { ServiceName } from '@gigvault/rpc/service-name';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { systemClock } from '@gigvault/time/clock';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import type { Pool } from 'pg';
import { openDataDirectory } from '../src/bootstrap/data-directory.ts';
import { startDatabaseServer } from '../src/bootstrap/database-server.ts';
import { openDatabase } from '../src/bootstrap/open-database.ts';
import { preparePki, registerIssuers } from '../src/bootstrap/pki.ts';
import { openSecrets } from '../src/bootstrap/secrets.ts';
import { createSuiteProcess } from '../src/composition/one-process.ts';
import { gigvaultConfig } from '../src/gigvault.config.ts';
import { createProgress } from '../src/report/progress.ts';
import type { Measurement } from './main.ts';
import { median, quantile } from './statistics.ts';

const ROUNDS = 5;
const ROUND_MS = 4_000;
const CONCURRENCIES = [1, 64, 256] as const;
/** Certification requests are made beforehand: a client's work, not the CA's. */
const REQUESTS = 2_000;
const SERVICES = ['auth', 'keymgr', 'ca', 'audit'] as const satisfies readonly ServiceName[];

interface Round {
  readonly perSecond: number;
  readonly cpuMicroseconds: number;
  readonly p50: number;
  readonly p99: number;
}

/**
 * CSR to durable certificate through `ca`'s API in one process: the real ca, keymgr and audit over the in-process
 * transport, a real PostgreSQL with fsync, proof of possession checked, the audit log running beside it.
 */
export async function benchIssuance(): Promise<Measurement[]> {
  const path = mkdtempSync(join(tmpdir(), 'gv-bench-'));
  const config = gigvaultConfig.parse({
    dataDir: path,
    ca: { auditLag: { events: 1_000_000, age: '1d' } },
  });
  const directory = openDataDirectory(path);
  const secrets = await openSecrets(directory);
  const server = await startDatabaseServer(directory, config, silentLog);
  const database = await openDatabase(server, secrets, directory);
  const pools = new Map<ServiceName, Pool>();
  const pool = (service: ServiceName) => {
    const made =
      pools.get(service) ??
      servicePool({
        connection: database.connection,
        database: database.name,
        service,
        password: secrets.databasePasswords[service],
        log: silentLog,
      });
    pools.set(service, made);
    return made;
  };
  const metrics = createMetrics();
  const suite = createSuiteProcess({
    config,
    publicUrl: 'https://localhost:8443',
    metrics,
    dataDir: (service) => directory.of(service),
    pool,
    log: () => silentLog,
  });
  try {
    const pki = await preparePki({
      config,
      directory,
      pool: pool('keymgr'),
      caPool: pool('ca'),
      log: silentLog,
      metrics,
      progress: createProgress(process.stderr, systemClock.now),
      print: () => undefined,
    });
    for (const service of SERVICES) await suite.start(service);
    await registerIssuers(suite, pki);
    for (const service of suite.running()) await service.startWorkers();
    const issueOne = await issuer(suite);
    const results: Measurement[] = [];
    await round(issueOne, 64);
    for (const concurrency of CONCURRENCIES) {
      const rounds: Round[] = [];
      for (let i = 0; i < ROUNDS; i++) rounds.push(await round(issueOne, concurrency));
      results.push(measurement(concurrency, rounds));
    }
    return results;
  } finally {
    for (const service of [...suite.running()].reverse()) await service.stop();
    await Promise.all([...pools.values()].map((open) => open.end()));
    await server.stop();
    rmSync(path, { recursive: true, force: true });
  }
}

async function issuer(suite: ReturnType<typeof createSuiteProcess>): Promise<() => Promise<void>> {
  const client = suite.broker.client('ra', RPC.issuance, 'ca');
  const { profiles } = await suite.broker.client('ra', RPC.issuer, 'ca').listProfiles({});
  const profileHash = profiles.find((profile) => profile.name === 'tls-server')?.profileHash ?? '';
  const requests = Array.from({ length: REQUESTS }, (_, i) => {
    const subjectAltName = [{ type: 'dns' as const, value: `n${i}.example.com` }];
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return {
      subjectAltName,
      certificationRequest: buildCertificationRequest({ privateKey, subject: [], subjectAltName }),
    };
  });
  let next = 0;
  return async () => {
    const request = requests[next++ % REQUESTS] as (typeof requests)[number];
    await client.issueCertificate({
      ...request,
      requestId: randomUUID(),
      issuerId: 'issuing',
      profile: 'tls-server',
      profileHash,
      commonName: '',
      notBefore: 0,
      notAfter: 0,
      requester: 'acme:bench',
      tenantId: 'default',
      protocol: 'acme',
    });
  };
}

async function round(issueOne: () => Promise<void>, concurrency: number): Promise<Round> {
  const times: number[] = [];
  const cpu = process.cpuUsage();
  const begin = performance.now();
  const client = async () => {
    while (performance.now() - begin < ROUND_MS) {
      const start = performance.now();
      await issueOne();
      times.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, client));
  const seconds = (performance.now() - begin) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  times.sort((a, b) => a - b);
  return {
    perSecond: times.length / seconds,
    cpuMicroseconds: (user + system) / times.length,
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
  };
}

function measurement(concurrency: number, rounds: readonly Round[]): Measurement {
  const of = (key: keyof Round) => median(rounds.map((r) => r[key]));
  const details = {
    perSecond: of('perSecond'),
    cpuMicroseconds: of('cpuMicroseconds'),
    p50: of('p50'),
    p99: of('p99'),
    concurrency,
    rounds: rounds.length,
  };
  return {
    work: `CSR to durable certificate, ca's API, ${concurrency} in flight`,
    value: `${details.perSecond.toFixed(0)}/s   ${details.cpuMicroseconds.toFixed(0)} µs CPU   p50 ${details.p50.toFixed(1)} ms   p99 ${details.p99.toFixed(1)} ms`,
    details,
  };
}
