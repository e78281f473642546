import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@gigvault/testkit/check-pki';
import { eventually } from '@gigvault/testkit/eventually';
import { fillTable, GROWING_TABLES } from '@gigvault/testkit/growing-tables';
import { type HttpAnswer, type HttpClient, httpClient } from '@gigvault/testkit/http-client';
import { type PkiProcess, startPki } from '@gigvault/testkit/pki-process';
import { readCertificate } from '@gigvault/x509/certificate';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Client } from 'pg';
import { csr, type RestClient, useRest } from './rest-client.ts';
import { passphraseFile } from './root-passphrase.ts';
import { QUICK_CRL, START_TIMEOUT, startAcmeClient } from './use-pki.ts';
import { useWebhookAway } from './use-webhook-away.ts';

/** Rows of each table: enough for the planner to shun reading all of them. */
const ROWS = 5_000;
/** Certificates of these that have expired. */
const EXPIRED = 2_000;
/** Rows that a statement may read and leave aside. */
const LEFT_ASIDE = 1_000;
/** Tables that do not grow with use, and why; what is in neither list is a finding. */
const STAYS_SMALL: Readonly<Record<string, string>> = {
  event_cursor: 'a row for each producer',
  freshness: 'a row for each producer',
  issuer: 'a row for each CA',
  migration: 'a row for each migration',
  outbox_consumer: 'a row for each consumer',
  dead_letter: 'events that were given up, until somebody has looked',
  outbox_head: 'one row',
  responder: 'a row for each CA',
  shard: 'a row for each CRL',
  backend_test: 'the keys with which backends are being tested',
  state: 'one row',
  crl: 'CRLs that newer ones have replaced are deleted after a while',
  crl_part: 'the same, in parts',
  crl_run: 'the entries of those, joined',
};
/** Rows of these cannot be made up: the log verifies itself. Its role may not scan as long as there is another way. */
const AUDIT = ['audit.leaf', 'audit.node', 'audit.checkpoint'];
const GROWING = new Set([...Object.keys(GROWING_TABLES), ...AUDIT]);
/** Settled rows are copied, so that no worker has anything to do about the copies. */
const SETTLED: Readonly<Record<string, string>> = {
  'ca.certificate': "t.status = 'valid'",
  'enroll.order_': "t.status = 'valid'",
  'ra.authorization_': "t.status = 'valid'",
  'ra.challenge': "t.status = 'valid'",
  'ra.enrolment_request': "t.status = 'issued'",
  'keymgr.key': "t.key_id !~ '^(ca-|ocsp-|auth-token|audit-checkpoint)' AND t.usage = 'sign'",
  'keymgr.signature': 'NOT t.tombstoned',
};

/** Statements that may read a whole table, and why. */
const MAY_SCAN: Readonly<Record<string, string>> = {
  'DELETE FROM delivery WHERE webhook <> ALL ($1::text[]) AND created_at < $2':
    'once a start: of webhooks that are not configured any more',
  'SELECT backend, count(*) AS keys FROM key GROUP BY backend':
    'a metric, once a minute; a key of ours is made by hand or once a year',
  "SELECT DISTINCT backend FROM key WHERE purposes <> '{}' AND state <> 'destroyed'":
    'once a start: the backends with which services sign',
  'SELECT key_id AS "keyId", v.handle, v.spki IS NOT NULL AS "isPair" FROM (SELECT key_id, version, backend, handle, spki FROM key UNION ALL SELECT key_id, version, backend, handle, spki FROM key_version) AS v JOIN key AS k USING (key_id) WHERE v.backend = $1 AND k.state <> \'destroyed\' AND (k.destroy_at IS NULL OR k.restore_state IS NOT NULL) ORDER BY key_id, v.version':
    'once a start: each of these keys must have its file',
  'SELECT v.backend, min(key_id) AS "keyId" FROM (SELECT key_id, version, backend, handle, spki FROM key UNION ALL SELECT key_id, version, backend, handle, spki FROM key_version) AS v JOIN key AS k USING (key_id) WHERE v.backend <> ALL ($1::text[]) AND k.state <> \'destroyed\' GROUP BY v.backend ORDER BY v.backend':
    'once a start: each backend that has keys must be configured',
};

/** A node of a plan as auto_explain writes it. */
interface PlanNode {
  readonly 'Node Type': string;
  readonly Schema?: string;
  readonly 'Relation Name'?: string;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly PlanNode[];
}

interface LoggedPlan {
  readonly user: string;
  readonly text: string;
  readonly plan: PlanNode;
}

const webhookAway = useWebhookAway();

describe('statements and tables that grow', () => {
  let pki: PkiProcess;
  let http: HttpClient;
  let passphrase: string;
  const shared = {
    get pki() {
      return pki;
    },
    get http() {
      return http;
    },
  };

  beforeAll(async () => {
    pki = await startPki('one process', ...QUICK_CRL, ...webhookAway);
    http = httpClient(readFileSync(pki.rootFile));
    passphrase = passphraseFile(pki);
  }, START_TIMEOUT);
  afterAll(async () => {
    http?.close();
    await pki?.dispose();
  }, START_TIMEOUT);
  describe('while they are small', () => {
    const rest = useRest(shared);

    it('every table is known to grow, or not to', async () => {
      await useEverything(rest, 'first');
      const database = await connect(pki);
      try {
        expect(await unlistedTables(database)).toEqual([]);
        await fill(database);
        await explainEverything(database);
      } finally {
        await database.end();
      }
    }, 120_000);
  });

  describe('when they have grown', () => {
    beforeAll(async () => {
      await pki.stop();
      await pki.start();
    }, START_TIMEOUT);
    const rest = useRest(shared);

    it('no statement reads the whole of one', async () => {
      await useEverything(rest, 'second');
      const rotate = ['ca', 'rotate', '--passphrase-file', passphrase, '--yes'];
      expect(await pki.cli(...rotate)).toMatchObject({ code: 0 });
      await eventually(async () =>
        expect((await rest.call('GET', '/keys/first-key')).json()).toMatchObject({
          state: 'destroyed',
          versions: [{ version: 2 }, { version: 1 }],
        }),
      );
      await pki.stop();
      const plans = readPlans(pki);
      // As many services as have tables that grow: the log is really there.
      expect(new Set(plans.map(({ user }) => user)).size).toBeGreaterThanOrEqual(8);
      expect(plans.length).toBeGreaterThan(100);
      expect([...new Set(plans.flatMap(complaints))]).toEqual([]);
    }, 120_000);
  });

  /** Every kind of statement that users cause, the lists with each of their filters. */
  async function useEverything(rest: RestClient, round: string): Promise<void> {
    const { client, responder } = await startAcmeClient(shared);
    try {
      const [revoked, compromised] = [
        new X509Certificate(await client.certificate([`${round}.localhost`])),
        new X509Certificate(await client.certificate([`${round}-2.localhost`])),
      ];
      expect((await client.revoke(revoked.raw, 4)).status).toBe(200);
      expect((await client.revoke(compromised.raw, 1)).status).toBe(200);
      const { serialNumber } = readCertificate(revoked.raw);
      await useRestApi(rest, round, serialNumber);
    } finally {
      await responder.stop();
    }
  }

  async function useRestApi(rest: RestClient, round: string, serialNumber: string): Promise<void> {
    const by = await rest.signedIn(`rita-${round}`, 'requester');
    const ask = async (method: string, path: string, body?: unknown, headers = {}) => {
      const answer = await rest.call(method, path, body, headers);
      expect(answer.status < 300 ? 200 : `${method} ${path}: ${answer.text}`).toBe(200);
      return answer;
    };
    const body = { certificationRequest: csr(`rita-${round}.localhost`) };
    const { requestId } = (await ask('POST', '/certificates', body, by)).json<{
      requestId: string;
    }>();
    await ask('POST', `/csrs/${requestId}/approve`, {});
    await useKeys(ask, round);
    await ask('POST', '/api-keys', { label: round });
    await ask('GET', `/certificates/${serialNumber}`);
    for (const filter of [
      '',
      'status=valid',
      'status=revoked',
      'status=expired',
      'requester=acme:1',
    ])
      await ask('GET', `/certificates?limit=5&${filter}`);
    await ask('GET', '/certificates?commonName=n7.localhost');
    for (const filter of ['', 'status=pending', 'status=issued'])
      await ask('GET', `/csrs?limit=5&${filter}`);
    for (const path of ['/csrs', '/certificates', '/api-keys', '/whoami'])
      await ask('GET', path, undefined, by);
    for (const path of [
      '/users?limit=5',
      '/keys?limit=5',
      '/keys?limit=5&state=active',
      '/keys?limit=5&backend=pkcs8',
      '/keys?limit=5&backend=pkcs8&state=active',
      '/issuers',
      '/audit/entries?limit=5',
      '/audit/checkpoint',
    ])
      await ask('GET', path);
    // Audit's own events are of those whom it refuses.
    expect((await rest.call('GET', '/audit/entries', undefined, by)).status).toBe(403);
  }
});

/** A key from its beginning to what is scheduled for its end. */
async function useKeys(
  ask: (method: string, path: string, body?: unknown) => Promise<HttpAnswer>,
  round: string,
): Promise<void> {
  const key = `/keys/${round}-key`;
  await ask('POST', '/keys', { keyId: `${round}-key`, keyType: 'ec-p256' });
  await ask('POST', `${key}/rotate`, {});
  const signed = await ask('POST', `${key}/sign`, { data: 'AA==' });
  const { signature } = signed.json<{ signature: string }>();
  await ask('POST', `${key}/verify`, { data: 'AA==', signature });
  for (const state of ['suspended', 'active']) await ask('POST', `${key}/state`, { state });
  for (const path of [key, '/keys/first-key']) await ask('GET', path);
  await ask('DELETE', key);
  await ask('POST', `${key}/restore`);
  await ask('DELETE', key);
  const box = `/keys/${round}-box`;
  await ask('POST', '/keys', { keyId: `${round}-box`, keyType: 'aes-256' });
  const encrypted = await ask('POST', `${box}/encrypt`, { plaintext: 'AA==' });
  const { ciphertext } = encrypted.json<{ ciphertext: string }>();
  await ask('POST', `${box}/decrypt`, { ciphertext });
}

/** Tables that nobody has said about whether they grow. */
async function unlistedTables(database: Client): Promise<string[]> {
  const { rows } = await database.query<{ name: string; schema: string }>(
    'SELECT relname AS name, schemaname AS schema FROM pg_stat_user_tables ORDER BY 2, 1',
  );
  return rows
    .filter(({ name, schema }) => !GROWING.has(`${schema}.${name}`) && !(name in STAYS_SMALL))
    .map(({ name, schema }) => `${schema}.${name}: does it grow?`);
}

async function fill(database: Client): Promise<void> {
  for (const table of Object.keys(GROWING_TABLES))
    await fillTable(database, table, ROWS, SETTLED[table]);
  // The oldest have expired, as they do: who lists these from the newest on meets all the others first.
  await database.query(
    `UPDATE ca.certificate SET not_after = issued_at WHERE serial_number IN
       (SELECT serial_number FROM ca.certificate WHERE status = 'valid' ORDER BY issued_at LIMIT $1)`,
    [EXPIRED],
  );
  // The next start finds it due.
  await database.query(`UPDATE keymgr.key SET destroy_at = now() WHERE destroy_at IS NOT NULL`);
  await database.query('VACUUM ANALYZE');
}

/** From the next start on each statement's plan is in the server's log. */
async function explainEverything(database: Client): Promise<void> {
  const settings = {
    session_preload_libraries: 'auto_explain',
    'auto_explain.log_min_duration': '0',
    'auto_explain.log_analyze': 'on',
    'auto_explain.log_timing': 'off',
    'auto_explain.log_verbose': 'on',
    'auto_explain.log_format': 'json',
    logging_collector: 'on',
    log_destination: 'jsonlog',
  };
  await database.query("LOAD 'auto_explain'");
  for (const [name, value] of Object.entries(settings))
    await database.query(`ALTER SYSTEM SET ${name} = '${value}'`);
  await database.query('ALTER ROLE gigvault_audit SET enable_seqscan = off');
}

/** The plans of what the services have asked. */
function readPlans({ dataDir }: PkiProcess): LoggedPlan[] {
  const folder = join(dataDir, 'pg', 'cluster', 'log');
  const lines = readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .flatMap((file) => readFileSync(join(folder, file), 'utf8').trimEnd().split('\n'))
    .map((line) => JSON.parse(line) as { user?: string; message?: string });
  return lines.flatMap(({ user = '', message = '' }) => {
    const [, json] = /plan:\n(\{.*\})$/s.exec(message) ?? [];
    if (json === undefined || !user.startsWith('gigvault_') || /_(admin|owner)$/.test(user))
      return [];
    const { 'Query Text': text, Plan: plan } = JSON.parse(json) as {
      'Query Text': string;
      Plan: PlanNode;
    };
    return [{ user, text: text.replace(/\s+/g, ' '), plan }];
  });
}

function complaints({ text, plan }: LoggedPlan): string[] {
  if (text in MAY_SCAN) return [];
  return nodesOf(plan).flatMap((node) => {
    const table = `${node.Schema}.${node['Relation Name']}`;
    if (!GROWING.has(table)) return [];
    const aside = node['Rows Removed by Filter'] ?? 0;
    if (node['Node Type'] === 'Seq Scan') return [`${table} is scanned by: ${text}`];
    return aside > LEFT_ASIDE ? [`${aside} rows of ${table} are left aside by: ${text}`] : [];
  });
}

function nodesOf(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)];
}
