import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { createEventLog, type EventLog } from '@gigvault/database/event-log';
import type { LiveHolder } from '@gigvault/database/live-holder';
import type { IssueCertificateRequest } from '@gigvault/proto/ca/v1/issuance';
import type { CreateIssuerRequest } from '@gigvault/proto/ca/v1/issuer';
import { RPC } from '@gigvault/rpc/contracts';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics, type Metrics } from '@gigvault/telemetry/metrics';
import { produced } from '@gigvault/testkit/produced';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { type Clock, systemClock } from '@gigvault/time/clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import { buildCaTbsCertificate } from '@gigvault/x509/ca-certificate';
import { assembleSigned } from '@gigvault/x509/certificate';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import { type KeyType, type PublicKeyInfo, publicKeyInfoOf } from '@gigvault/x509/public-key';
import { newSerialNumber } from '@gigvault/x509/serial-number';
import { signatureAlgorithm, signTbs } from '@gigvault/x509/signature';
import type { Pool } from 'pg';
import type { CaDeps } from '../src/api/grpc.ts';
import { caConfig } from '../src/ca.config.ts';
import { caService, wireCa } from '../src/ca.module.ts';
import { EVENT_CONSUMERS } from '../src/event-consumers.ts';
import type { IssuanceOrder } from '../src/issuance/issuance-order.ts';
import { issueCertificate } from '../src/issuance/issue-certificate.ts';
import { createIssuer } from '../src/issuers/create-issuer.ts';
import type { ReconcileDeps } from '../src/reconciliation/reconcile-intents.ts';
import type { SweepDeps } from '../src/revocation/revoke-compromised.ts';
import type { MoveDeps } from '../src/rotation/move-issuers.ts';
import { createTestKeymgr, type TestKeymgr } from './test-keymgr.ts';

const YEAR = 365 * 86_400_000;

/** A CA service as one process has it; several share the database and keymgr of a TestCa. */
export interface CaProcess {
  readonly deps: CaDeps;
  readonly reconcile: ReconcileDeps;
  readonly sweep: SweepDeps;
  readonly move: MoveDeps;
  readonly holder: LiveHolder;
  readonly metrics: Metrics;
}

/** A root, the issuers `issuing` and `services`, a database and a keymgr. */
export interface TestCa {
  readonly database: TestDatabase;
  readonly pool: Pool;
  readonly eventLog: EventLog;
  readonly keymgr: TestKeymgr;
  readonly root: Buffer;
  readonly rootKey: KeyObject;
  readonly issuerKeys: Readonly<
    Record<
      'ca-issuing' | 'ca-services' | 'ca-spare' | 'ocsp-issuing' | 'ocsp-issuing-K2',
      KeyObject
    >
  >;
  /** @param config the `ca` section. */
  process(config?: object, clock?: Clock): CaProcess;
  /** A CA certificate signed by the root, or in its name by another key. */
  caCertificate(commonName: string, key: KeyObject | PublicKeyInfo, by?: KeyObject): Buffer;
  createIssuerRequest(issuerId: string, keyId: string, certificate: Buffer): CreateIssuerRequest;
  stop(): Promise<void>;
}

/** Starts PostgreSQL, runs the migration, makes the PKI and registers both issuers. */
export async function startTestCa(options: { crlShards?: number } = {}): Promise<TestCa> {
  const database = await startTestDatabase();
  const pool = await database.pool('ca', caService.migrations);
  const eventLog = createEventLog({
    pool,
    producer: 'ca',
    consumers: EVENT_CONSUMERS,
    clock: systemClock,
  });
  const rootKey = newKey('P-384');
  const issuerKeys = {
    'ca-issuing': newKey(),
    'ca-services': newKey(),
    'ca-spare': newKey(),
    'ocsp-issuing': newKey(),
    'ocsp-issuing-K2': newKey(),
  };
  const keymgr = createTestKeymgr(issuerKeys);
  const root = caCertificate('Test Root', rootKey, 'Test Root', rootKey);

  const ca: TestCa = {
    database,
    pool,
    eventLog,
    keymgr,
    root,
    rootKey,
    issuerKeys,
    process: (config = {}, clock = systemClock) =>
      startProcess(pool, eventLog, keymgr, config, clock),
    caCertificate: (commonName, key, by = rootKey) =>
      caCertificate(commonName, key, 'Test Root', by),
    createIssuerRequest: (issuerId, keyId, certificate) => ({
      issuerId,
      certificate,
      chain: [root],
      keyId,
      crlShards: options.crlShards ?? 1,
      statusPublicUrl: 'http://status.test:8080/',
      public: issuerId !== 'services',
    }),
    stop: () => database.stop(),
  };
  const { deps } = ca.process();
  for (const id of ['issuing', 'services'] as const) {
    const certificate = ca.caCertificate(`Test ${id} CA`, issuerKeys[`ca-${id}`]);
    await createIssuer(
      deps.issuers,
      ca.createIssuerRequest(id, `ca-${id}`, certificate),
      'service:gigvault',
    );
  }
  return ca;
}

function startProcess(
  pool: Pool,
  eventLog: EventLog,
  keymgr: TestKeymgr,
  config: object,
  clock: Clock,
): CaProcess {
  const metrics = createMetrics();
  const clients = new Map<unknown, unknown>([
    [RPC.keySigning, keymgr.signing],
    [RPC.key, keymgr.keys],
  ]);
  const wired = wireCa(
    {
      name: 'ca',
      config: caConfig.parse({ reconciliation: { grace: '0s' }, ...config }),
      environment: 'development',
      trustDomain: 'gigvault.local',
      secrets: { resolve: () => Promise.reject(new Error('not used')) },
      publicUrl: 'https://localhost:8443',
      database: pool,
      clock,
      clockGuard: createClockGuard(clock),
      log: silentLog,
      metrics,
      client: (service) => clients.get(service) as never,
    },
    eventLog,
  );
  return { ...wired, metrics };
}

/** A fresh EC key. */
export function newKey(namedCurve = 'P-256'): KeyObject {
  return generateKeyPairSync('ec', { namedCurve }).privateKey;
}

function caCertificate(
  commonName: string,
  key: KeyObject | PublicKeyInfo,
  issuer: string,
  issuerKey: KeyObject,
): Buffer {
  const now = systemClock.now();
  const signingKeyType: KeyType = publicKeyInfoOf(issuerKey).keyType;
  const tbs = buildCaTbsCertificate({
    serialNumber: newSerialNumber(),
    issuer: [{ type: 'CN', value: issuer }],
    subject: [{ type: 'CN', value: commonName }],
    publicKey: 'spki' in key ? key : publicKeyInfoOf(key),
    issuerKeyIdentifier: publicKeyInfoOf(issuerKey).keyIdentifier,
    signingKeyType,
    notBefore: now - 2 * 3_600_000,
    notAfter: now + 5 * YEAR,
  });
  const signature = signTbs(issuerKey, tbs);
  return produced('authority', assembleSigned(tbs, signatureAlgorithm(signingKeyType), signature));
}

/** A certification request for DNS names. */
export function csr(names: readonly string[], key: KeyObject = newKey()): Buffer {
  return buildCertificationRequest({
    privateKey: key,
    subject: [],
    subjectAltName: names.map((value) => ({ type: 'dns', value })),
  });
}

/** A request for a tls-server certificate, of a fresh key and id unless told otherwise. */
export function request(
  { deps }: CaProcess,
  changes: Partial<IssueCertificateRequest> = {},
): IssuanceOrder {
  const profile = changes.profile ?? 'tls-server';
  return {
    requestId: randomUUID(),
    issuerId: 'issuing',
    profile,
    profileHash: deps.profiles.get(profile)?.hash ?? '',
    certificationRequest: changes.certificationRequest ?? csr(['api.example.com']),
    subjectAltName: [{ type: 'dns', value: 'api.example.com' }],
    commonName: '',
    notBefore: 0,
    notAfter: 0,
    requester: 'acme:1',
    tenantId: '',
    protocol: 'acme',
    internal: false,
    ...changes,
  };
}

/** An event of the log, its data parsed. */
export interface LoggedEvent {
  readonly type: string;
  readonly actor: string;
  readonly subject: string;
  readonly data: Record<string, unknown>;
}

/** The events about these subjects, in order. */
export async function eventsAbout(ca: TestCa, subjects: readonly string[]): Promise<LoggedEvent[]> {
  const { rows } = await ca.pool.query<{
    type: string;
    actor: string;
    subject: string;
    data: Buffer;
  }>('SELECT type, actor, subject, data FROM outbox WHERE subject = ANY($1) ORDER BY position', [
    subjects,
  ]);
  return rows.map((row) => ({ ...row, data: JSON.parse(row.data.toString()) }));
}

/** Rows of a request's certificates. */
export async function certificatesOf(
  ca: TestCa,
  requestId: string,
): Promise<{ serial_number: string; status: string; certificate: Buffer | null }[]> {
  const { rows } = await ca.pool.query(
    'SELECT serial_number, status, certificate FROM certificate WHERE request_id = $1 ORDER BY issued_at',
    [requestId],
  );
  return rows;
}

/**
 * What must be true after every step: each serial number has an intent, each certificate an intent and an earlier event,
 * no bytes were signed twice, at most one valid certificate a request. Throws what is not.
 */
export async function check(ca: TestCa): Promise<void> {
  const none = async (what: string, sql: string) => {
    const { rows } = await ca.pool.query(sql);
    if (rows.length > 0) throw new Error(`${what}: ${JSON.stringify(rows[0])}`);
  };
  await none(
    'serial without intent',
    'SELECT s.* FROM serial s LEFT JOIN intent i USING (issuer_id, serial_number) WHERE i IS NULL',
  );
  await none(
    'intent without serial',
    'SELECT i.intent_id FROM intent i LEFT JOIN serial s USING (issuer_id, serial_number) WHERE s IS NULL',
  );
  await none(
    'certificate and intent differ',
    `SELECT c.serial_number, i.status FROM certificate c LEFT JOIN intent i USING (issuer_id, serial_number)
     WHERE i.status IS DISTINCT FROM (CASE WHEN c.certificate IS NULL THEN 'tombstoned' ELSE 'issued' END)`,
  );
  await none(
    'closed intent without certificate',
    `SELECT i.intent_id FROM intent i LEFT JOIN certificate c USING (issuer_id, serial_number)
     WHERE i.status <> 'open' AND c.serial_number IS NULL`,
  );
  await none(
    'two certificates of a request',
    `SELECT request_id FROM certificate WHERE certificate IS NOT NULL GROUP BY request_id HAVING count(*) > 1`,
  );
  await none(
    'certificate without earlier intended event',
    `SELECT e.subject FROM outbox e LEFT JOIN outbox i
       ON i.subject = e.subject AND i.type = 'certificate.intended' AND i.position < e.position
     WHERE e.type IN ('certificate.issued', 'certificate.abandoned') AND i.position IS NULL`,
  );
  await none(
    'certificate without event',
    `SELECT c.serial_number FROM certificate c LEFT JOIN outbox e
       ON e.subject = c.serial_number AND e.type IN ('certificate.issued', 'certificate.abandoned')
     WHERE e.position IS NULL`,
  );
  for (const [tbs, times] of ca.keymgr.signed) {
    if (times > 1) throw new Error(`signed ${times} times: ${tbs}`);
  }
}

/** Issues, and freezes the process for ever at the step. */
export function dieAt(
  process: CaProcess,
  order: IssuanceOrder,
  step: string,
  moment: 'before' | 'after',
): Promise<void> {
  return freezeAt(step, moment, () => issueCertificate(process.deps.issuance, order));
}

/** Freezes the first who comes to the step for ever, as SIGKILL does, and returns once it is reached. */
export async function freezeAt(
  step: string,
  moment: string,
  run: () => Promise<unknown>,
): Promise<void> {
  await new Promise<void>((reached) => {
    let dead = false;
    installFaultHook((name, when) => {
      if (dead || name !== step || when !== moment) return;
      dead = true;
      reached();
      return new Promise(() => undefined);
    });
    void run();
  });
  installFaultHook(undefined);
}
