import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createEventLog, type EventLog } from '@gigvault/database/event-log';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { IssueCertificateRequest } from '@gigvault/proto/ca/v1/issuance';
import type { Profile } from '@gigvault/proto/ca/v1/issuer';
import type { Event } from '@gigvault/proto/event/v1/event_log';
import type { EvaluateRequest } from '@gigvault/proto/policy/v1/policy';
import type { SubmitRequestRequest } from '@gigvault/proto/ra/v1/enrolment';
import { silentLog } from '@gigvault/telemetry/log';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import type { Clock } from '@gigvault/time/clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import type { GeneralName } from '@gigvault/x509/general-name';
import type { Pool } from 'pg';
import { EVENT_CONSUMERS } from '../migrations/1700000000000-ra-init.ts';
import { pgAuthorizationStore } from '../src/adapters/pg-authorization-store.ts';
import { pgRequestStore } from '../src/adapters/pg-request-store.ts';
import { pgVoteStore } from '../src/adapters/pg-vote-store.ts';
import type { EnrolmentApi } from '../src/api/grpc.ts';
import { createIssuer } from '../src/enrolment/issue-request.ts';
import type { CertificateAuthority } from '../src/ports/certificate-authority.ts';
import type { Judgement } from '../src/ports/policy-judge.ts';
import { raService } from '../src/ra.module.ts';

/** The service's tables in a real PostgreSQL. */
export interface RaDatabase {
  readonly database: TestDatabase;
  readonly pool: Pool;
}

export async function startRaDatabase(): Promise<RaDatabase> {
  const database = await startTestDatabase();
  return { database, pool: await database.pool('ra', raService.migrations as never) };
}

export function raEventLog(pool: Pool, clock: Clock): EventLog {
  return createEventLog({ pool, producer: 'ra', consumers: EVENT_CONSUMERS, clock });
}

/** Every event about a subject, in order. */
export async function eventsOf(
  eventLog: EventLog,
  subject: string,
): Promise<(Omit<Event, 'data'> & { data: Record<string, unknown> })[]> {
  const pulled = await eventLog.pull(
    'notify',
    { acknowledged: 0, limit: 1000, waitMs: 0 },
    new AbortController().signal,
  );
  return pulled.events
    .filter((event) => event.subject === subject)
    .map((event) => ({
      ...event,
      data: JSON.parse(event.data.toString()) as Record<string, unknown>,
    }));
}

const DAY = 86_400_000;

export const TLS_SERVER: Profile = {
  name: 'tls-server',
  profileHash: 'aa'.repeat(32),
  keyTypes: ['ec-p256', 'rsa-2048'],
  defaultValidity: 47 * DAY,
  maxValidity: 90 * DAY,
  backdate: 3_600_000,
  issuerId: 'issuing',
  public: true,
  keyUsages: ['digitalSignature', 'serverAuth'],
};

/** A CA that keeps its promise: one certificate for each request id. */
export interface FakeCa extends CertificateAuthority {
  readonly calls: IssueCertificateRequest[];
  readonly checked: IssueCertificateRequest[];
  readonly certificates: Map<string, string>;
  /** What the next calls answer instead of a certificate. */
  failWith: GigvaultError | undefined;
  profiles: Profile[];
}

export function fakeCa(): FakeCa {
  const ca: FakeCa = {
    calls: [],
    checked: [],
    certificates: new Map(),
    failWith: undefined,
    profiles: [TLS_SERVER, { ...TLS_SERVER, name: 'service', public: false }],
    async check(request) {
      ca.checked.push(request);
      if (ca.failWith) throw ca.failWith;
    },
    profile: async (name) => ca.profiles.find((profile) => profile.name === name),
    async issue(request) {
      ca.calls.push(request);
      if (ca.failWith) throw ca.failWith;
      const serialNumber =
        ca.certificates.get(request.requestId) ?? randomUUID().replaceAll('-', '');
      ca.certificates.set(request.requestId, serialNumber);
      return {
        serialNumber,
        issuerId: request.issuerId,
        certificate: Buffer.from('leaf'),
        chain: [Buffer.from('issuer'), Buffer.from('root')],
      };
    },
  };
  return ca;
}

export const unavailable = () => new GigvaultError('UNAVAILABLE', 'The CA cannot be reached.');

/** A policy service with one answer. */
export interface FakePolicy {
  judgement: Judgement;
  readonly seen: EvaluateRequest[];
  judge(request: EvaluateRequest): Promise<Judgement>;
}

export function fakePolicy(): FakePolicy {
  const policy: FakePolicy = {
    judgement: judgement('allow'),
    seen: [],
    async judge(request) {
      policy.seen.push(request);
      return policy.judgement;
    },
  };
  return policy;
}

export function judgement(
  outcome: 'allow' | 'review' | 'deny',
  approvalsNeeded = outcome === 'review' ? 1 : 0,
): Judgement {
  const rules = [{ rule: 'test', outcome, message: `dnsNames[0] "a.localhost": ${outcome}` }];
  return { decision: { outcome, rules, policy: 'test', policyHash: 'bb' }, approvalsNeeded };
}

/** The enrolment flows over the real database, a fake CA and a fake policy. */
export function enrolmentApi(
  pool: Pool,
  clock: Clock,
): EnrolmentApi & { ca: FakeCa; policy: FakePolicy; eventLog: EventLog; waits: number[] } {
  const eventLog = raEventLog(pool, clock);
  const store = pgRequestStore(pool, eventLog);
  const ca = fakeCa();
  const waits: number[] = [];
  const clockGuard = createClockGuard(clock);
  const proofs = pgAuthorizationStore(pool, eventLog);
  const issuer = createIssuer({ requests: store, issuing: store, proofs, ca, clock, clockGuard });
  return {
    requests: store,
    votes: pgVoteStore(pool, eventLog),
    proofs,
    ca,
    policy: fakePolicy(),
    issuer,
    clock,
    clockGuard,
    log: silentLog,
    observer: { decided: (waited) => waits.push(waited) },
    development: true,
    approvals: 1,
    pendingValidity: 30 * DAY,
    eventLog,
    waits,
  };
}

const KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

export const dns = (value: string): GeneralName => ({ type: 'dns', value });

/** A certification request with proof of possession. */
export function csrFor(
  names: readonly GeneralName[],
  commonName?: string,
  privateKey = KEY,
): Buffer {
  const subject = commonName === undefined ? [] : [{ type: 'CN', value: commonName }];
  return buildCertificationRequest({ privateKey, subject, subjectAltName: [...names] });
}

/** A request of a signed-in user for a.localhost. */
export function submission(change: Partial<SubmitRequestRequest> = {}): SubmitRequestRequest {
  return {
    requestId: randomUUID(),
    protocol: 'rest',
    requester: 'user:1',
    profile: 'tls-server',
    profileHash: '',
    certificationRequest: csrFor([dns('a.localhost')], 'a.localhost'),
    authorizationIds: [],
    subjectAltName: [],
    notBefore: 0,
    notAfter: 0,
    reason: 'because',
    roles: ['operator'],
    tenantId: '',
    ...change,
  };
}

/** Waits until something is so, by asking again; fails loudly when it never is. */
export async function eventually<T>(
  ask: () => Promise<T | undefined | false>,
  clock: Clock,
): Promise<T> {
  const until = clock.now() + 10_000;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (clock.now() > until) throw new Error(`never came true: ${ask}`);
    await clock.sleep(10);
  }
}

/** The code that a promise fails with, or what it gave instead. */
export async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    return error instanceof GigvaultError ? error.code : error;
  }
}
