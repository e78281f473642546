import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { get, request } from 'node:http';
import { join } from 'node:path';
import { type ExportedLeaf, verifyLog } from '@gigvault/merkle/verify-log';
import { systemClock } from '@gigvault/time/clock';
import { readCertificate } from '@gigvault/x509/certificate';
import { readCertList } from '@gigvault/x509/crl';
import { buildOcspRequest, isAuthorizedAnswer, readOcspResponse } from '@gigvault/x509/ocsp-client';
import { readPublicKey } from '@gigvault/x509/public-key';
import { signatureAlgorithm, verifySignature } from '@gigvault/x509/signature';
import { Client } from 'pg';
import type { PkiProcess } from './pki-process.ts';

/** What the check saw. The PKI is sound when `findings` is empty. */
export interface CheckReport {
  readonly findings: readonly string[];
  readonly certificates: number;
  readonly abandoned: number;
  readonly revoked: number;
  readonly auditLeaves: number;
}

interface CertificateRow {
  issuer_id: string;
  serial_number: string;
  certificate: Buffer | null;
  request_id: string;
  status: 'valid' | 'revoked';
  reason_code: number;
  crl_shard: number;
  tbs: Buffer | null;
  intent_status: string | null;
}

/** Milliseconds for reconcilers, consumers and CRLs to catch up after whatever the test did. */
const SETTLE_LIMIT = 60_000;
const PRODUCERS = ['auth', 'keymgr', 'ca', 'ra', 'enroll'] as const;

/**
 * Re-verifies everything that a PKI claims, behind its back in the database and through its front doors: every
 * certificate has its earlier intent and verifies; serial numbers are unique; nothing is signed without an intent or
 * twice; no order and no request has two certificates; revoked means revoked in OCSP and on the CRL; the audit tree is
 * whole and has every event.
 */
export async function checkPki(pki: PkiProcess): Promise<CheckReport> {
  const database = await connect(pki);
  const findings: string[] = [];
  try {
    findings.push(...(await settle(database)));
    const issuers = await issuersOf(database);
    const rows = await certificatesOf(database);
    for (const row of rows) findings.push(...checkCertificate(row, issuers));
    findings.push(...(await checkUniqueness(database)));
    findings.push(...(await checkSignatures(database)));
    findings.push(...(await checkRevocation(pki, rows, issuers)));
    const audit = await checkAudit(database);
    findings.push(...audit.findings);
    return {
      findings,
      certificates: rows.filter((row) => row.certificate !== null).length,
      abandoned: rows.filter((row) => row.certificate === null).length,
      revoked: rows.filter((row) => row.status === 'revoked').length,
      auditLeaves: audit.leaves,
    };
  } finally {
    await database.end();
  }
}

/** The superuser's connection to a running PKI's embedded database. */
export async function connect(pki: PkiProcess): Promise<Client> {
  const { database } = JSON.parse(readFileSync(join(pki.dataDir, 'run.json'), 'utf8')) as {
    database: { host: string; port: number };
  };
  const password = readFileSync(join(pki.dataDir, 'pg', 'admin-password'), 'utf8').trim();
  const client = new Client({
    ...database,
    user: 'gigvault_admin',
    password,
    database: 'gigvault',
  });
  await client.connect();
  return client;
}

/** Waits until nothing is open and nobody lags; what still does is a finding. */
async function settle(database: Client): Promise<string[]> {
  const end = systemClock.now() + SETTLE_LIMIT;
  for (;;) {
    const open = await unsettled(database);
    if (open.length === 0 || systemClock.now() > end)
      return open.map((what) => `after ${SETTLE_LIMIT} ms: ${what}`);
    await systemClock.sleep(100);
  }
}

async function unsettled(database: Client): Promise<string[]> {
  const open: string[] = [];
  const count = async (what: string, sql: string) => {
    const { rows } = await database.query<{ n: string }>(sql);
    if (Number(rows[0]?.n) > 0) open.push(`${rows[0]?.n} ${what}`);
  };
  await count('open intents of ca', "SELECT count(*) AS n FROM ca.intent WHERE status = 'open'");
  await count('open intents of crl', "SELECT count(*) AS n FROM crl.crl WHERE status = 'intended'");
  await count(
    'orders in processing',
    "SELECT count(*) AS n FROM enroll.order_ WHERE status = 'processing'",
  );
  await count(
    'approved requests that are not issued',
    "SELECT count(*) AS n FROM ra.enrolment_request WHERE status = 'approved'",
  );
  for (const producer of PRODUCERS) {
    await count(
      `events of ${producer} that are not audited`,
      `SELECT (SELECT position FROM ${producer}.outbox_head) - (SELECT count(*) FROM audit.leaf WHERE producer = '${producer}') AS n`,
    );
  }
  await count(
    'revocations that are not on a CRL',
    `SELECT count(*) AS n FROM ca.certificate c WHERE c.status = 'revoked' AND c.not_after > extract(epoch FROM now()) * 1000
     AND NOT EXISTS (SELECT 1 FROM crl.revoked r JOIN crl.shard s USING (issuer_id, crl_shard)
                     WHERE r.issuer_id = c.issuer_id AND r.serial_number = c.serial_number AND s.published_number >= r.first_number)`,
  );
  return open;
}

async function issuersOf(database: Client): Promise<Map<string, Buffer>> {
  const { rows } = await database.query<{ issuer_id: string; certificate: Buffer }>(
    'SELECT issuer_id, certificate FROM ca.issuer',
  );
  return new Map(rows.map((row) => [row.issuer_id, row.certificate]));
}

async function certificatesOf(database: Client): Promise<CertificateRow[]> {
  const { rows } = await database.query<CertificateRow>(
    `SELECT c.issuer_id, c.serial_number, c.certificate, c.request_id, c.status, c.reason_code, c.crl_shard, i.tbs, i.status AS intent_status
     FROM ca.certificate c LEFT JOIN ca.intent i ON i.intent_id = c.intent_id AND i.serial_number = c.serial_number AND i.issuer_id = c.issuer_id`,
  );
  return rows;
}

function checkCertificate(row: CertificateRow, issuers: ReadonlyMap<string, Buffer>): string[] {
  const name = `certificate ${row.serial_number}`;
  if (row.tbs === null) return [`${name} has no intent`];
  if (row.certificate === null) {
    const isClosed = row.intent_status === 'tombstoned' && row.status === 'revoked';
    return isClosed
      ? []
      : [
          `${name} was never released, but its intent is ${row.intent_status} and it is ${row.status}`,
        ];
  }
  const issuer = issuers.get(row.issuer_id);
  if (issuer === undefined) return [`${name} has an unknown issuer`];
  const certificate = readCertificate(row.certificate);
  const findings: string[] = [];
  if (!certificate.tbs.equals(row.tbs))
    findings.push(`${name} differs from the bytes of its intent`);
  if (row.intent_status !== 'issued')
    findings.push(`${name} is there, but its intent is ${row.intent_status}`);
  if (certificate.serialNumber !== row.serial_number)
    findings.push(`${name} has serial number ${certificate.serialNumber} inside`);
  if (!new X509Certificate(row.certificate).verify(new X509Certificate(issuer).publicKey))
    findings.push(`${name} does not verify`);
  return findings;
}

async function checkUniqueness(database: Client): Promise<string[]> {
  const findings: string[] = [];
  const none = async (what: string, sql: string) => {
    const { rows } = await database.query<{ id: string }>(sql);
    for (const row of rows) findings.push(`${what}: ${row.id}`);
  };
  await none(
    'serial number used twice',
    'SELECT serial_number AS id FROM ca.intent GROUP BY issuer_id, serial_number HAVING count(*) > 1',
  );
  await none(
    'request with two certificates',
    'SELECT request_id AS id FROM ca.certificate WHERE certificate IS NOT NULL GROUP BY request_id HAVING count(*) > 1',
  );
  await none(
    'order with two certificates',
    'SELECT o.order_id AS id FROM enroll.order_ o JOIN ca.certificate c ON c.request_id = o.request_id AND c.certificate IS NOT NULL GROUP BY o.order_id HAVING count(*) > 1',
  );
  await none(
    'valid order without its certificate',
    "SELECT order_id AS id FROM enroll.order_ o WHERE status = 'valid' AND NOT EXISTS (SELECT 1 FROM ca.certificate c WHERE c.request_id = o.request_id AND c.certificate IS NOT NULL)",
  );
  await none(
    'intent whose serial number is not reserved',
    'SELECT serial_number AS id FROM ca.intent i WHERE NOT EXISTS (SELECT 1 FROM ca.serial s WHERE s.issuer_id = i.issuer_id AND s.serial_number = i.serial_number)',
  );
  await none(
    'bytes signed twice',
    "SELECT encode(tbs_sha256, 'hex') AS id FROM keymgr.signature WHERE tbs_sha256 IS NOT NULL GROUP BY tbs_sha256 HAVING count(*) > 1",
  );
  return findings;
}

/** Every recorded signature of a CA key belongs to an intent, is over the intent's bytes, and verifies. */
async function checkSignatures(database: Client): Promise<string[]> {
  const { rows } = await database.query<{
    intent_id: string;
    tbs_sha256: Buffer;
    signature: Buffer;
    spki: Buffer;
    tbs: Buffer | null;
  }>(
    `SELECT s.intent_id, s.tbs_sha256, s.signature, k.spki, coalesce(i.tbs, c.tbs) AS tbs
     FROM keymgr.signature s JOIN keymgr.key k USING (key_id)
     LEFT JOIN ca.intent i ON i.intent_id = s.intent_id LEFT JOIN crl.crl c ON c.intent_id = s.intent_id
     WHERE NOT s.tombstoned AND ('certSign' = ANY (k.purposes))`,
  );
  return rows.flatMap((row) => {
    if (row.tbs === null) return [`signature without an intent: ${row.intent_id}`];
    if (!createHash('sha256').update(row.tbs).digest().equals(row.tbs_sha256))
      return [`signature over other bytes than the intent's: ${row.intent_id}`];
    const key = readPublicKey(row.spki);
    return verifySignature(key.keyObject, signatureAlgorithm(key.keyType), row.tbs, row.signature)
      ? []
      : [`signature does not verify: ${row.intent_id}`];
  });
}

async function checkRevocation(
  pki: PkiProcess,
  rows: readonly CertificateRow[],
  issuers: ReadonlyMap<string, Buffer>,
): Promise<string[]> {
  const findings: string[] = [];
  for (const [issuerId, issuer] of issuers) {
    const own = rows.filter((row) => row.issuer_id === issuerId);
    const listed = new Map<string, number>();
    for (const shard of new Set([0, ...own.map((row) => row.crl_shard)])) {
      const crl = readCertList(await fetchStatus(`${pki.statusUrl}/crl/${issuerId}/${shard}.crl`));
      const key = readCertificate(issuer).publicKey;
      if (!verifySignature(key.keyObject, crl.signatureAlgorithm, crl.tbs, crl.signature))
        findings.push(`CRL ${issuerId}/${shard} does not verify`);
      for (const entry of crl.entries()) listed.set(entry.serialNumber, entry.reasonCode);
    }
    for (const row of own) {
      const onCrl = listed.get(row.serial_number);
      if ((row.status === 'revoked') !== (onCrl !== undefined))
        findings.push(`certificate ${row.serial_number} is ${row.status}, the CRL says otherwise`);
      if (onCrl !== undefined && onCrl !== row.reason_code)
        findings.push(
          `certificate ${row.serial_number} has reason ${row.reason_code}, the CRL says ${onCrl}`,
        );
    }
    if (issuerId === 'issuing') findings.push(...(await checkOcsp(pki, own, issuer)));
  }
  return findings;
}

async function checkOcsp(
  pki: PkiProcess,
  rows: readonly CertificateRow[],
  issuer: Buffer,
): Promise<string[]> {
  const findings: string[] = [];
  for (const row of rows) {
    const answer = readOcspResponse(
      await fetchStatus(`${pki.statusUrl}/ocsp`, buildOcspRequest(issuer, row.serial_number)),
    );
    const status = answer.data.responses[0]?.status;
    const said = typeof status === 'object' ? 'revoked' : status;
    const expected = row.status === 'revoked' ? 'revoked' : 'good';
    if (said !== expected)
      findings.push(`certificate ${row.serial_number} is ${row.status}, OCSP says ${said}`);
    if (typeof status === 'object' && status.reasonCode !== row.reason_code)
      findings.push(
        `certificate ${row.serial_number} has reason ${row.reason_code}, OCSP says ${status.reasonCode}`,
      );
    if (!isAuthorizedAnswer(answer, issuer))
      findings.push(
        `the OCSP answer about ${row.serial_number} is not signed by the CA or its delegate`,
      );
  }
  return findings;
}

async function checkAudit(database: Client): Promise<{ findings: string[]; leaves: number }> {
  const leaves = await database.query<{ leaf_index: string; leaf: Buffer; leaf_hash: Buffer }>(
    'SELECT leaf_index, leaf, leaf_hash FROM audit.leaf ORDER BY leaf_index',
  );
  const heads = await database.query<{ tree_size: string; root_hash: Buffer }>(
    'SELECT tree_size, root_hash FROM audit.checkpoint ORDER BY tree_size',
  );
  const exported = leaves.rows.map(
    (row): ExportedLeaf => ({
      leafIndex: Number(row.leaf_index),
      leaf: row.leaf,
      leafHash: row.leaf_hash,
    }),
  );
  const report = await verifyLog(
    exported,
    heads.rows.map((row) => ({ size: Number(row.tree_size), root: row.root_hash })),
  );
  const findings = report.findings.map((finding) => `audit log: ${finding.message}`);
  if (heads.rows.length === 0) findings.push('audit log: no checkpoint');
  return { findings, leaves: report.leaves };
}

/** GET, or POST of an OCSP request, over plain HTTP as relying parties do it. Rejects for any status but 200. */
export function fetchStatus(url: string, ocspRequest?: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const call = ocspRequest
      ? request(url, { method: 'POST', headers: { 'content-type': 'application/ocsp-request' } })
      : get(url);
    call.on('error', reject);
    call.on('response', (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () =>
        response.statusCode === 200
          ? resolve(Buffer.concat(parts))
          : reject(new Error(`${url} answered ${response.statusCode}`)),
      );
    });
    call.end(ocspRequest);
  });
}
