import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, type ClientConfig } from 'pg';
import { type Acknowledged, checkAcknowledged } from './check/acknowledged.ts';
import { readAuditLog } from './check/audit.ts';
import {
  certificatesOf,
  checkCertificate,
  checkUniqueness,
  issuersOf,
} from './check/certificates.ts';
import { answeredIssuers, checkIssuers } from './check/issuers.ts';
import { checkRevocation, type StatusListener } from './check/revocation.ts';
import { settle } from './check/settled.ts';
import { checkSignatures } from './check/signatures.ts';
import { checkStrictly, keepingAnswers } from './check/strict.ts';
import { httpClient } from './http-client.ts';
import type { PkiProcess } from './pki-process.ts';
import type { Artifact } from './strict-readers.ts';

/** What the check saw. The PKI is sound when `findings` is empty. */
export interface CheckReport {
  readonly findings: readonly string[];
  readonly certificates: number;
  /** Intents that were closed without a certificate. */
  readonly abandoned: number;
  readonly revoked: number;
  readonly auditLeaves: number;
}

/** What a check may be told. */
export interface CheckOptions {
  /** As `connect`. */
  readonly server?: ClientConfig;
  /** What clients were told, for who knows it. */
  readonly acknowledged?: Acknowledged;
  /** False: without zlint and openssl, which cost seconds. */
  readonly strict?: boolean;
}

/**
 * Re-verifies everything that a PKI claims, behind its back in the database and through its front doors, once it has
 * settled: what checkRecords says; zlint and openssl find nothing wrong with anything that was signed.
 */
export async function checkPki(
  pki: PkiProcess,
  { server, acknowledged, strict = true }: CheckOptions = {},
): Promise<CheckReport> {
  const database = await connect(pki, server);
  const answers: Artifact[] = [];
  const http = keepingAnswers(httpClient(), answers);
  try {
    const unsettled = await settle(database);
    const listener = { url: pki.statusUrl, http };
    const report = await checkRecords(database, listener, acknowledged);
    const strictly = async () => {
      const [rows, issuers] = [await certificatesOf(database), await issuersOf(database)];
      return checkStrictly(pki.statusUrl, http, rows, issuers, answers);
    };
    const complaints = strict ? await strictly() : [];
    return { ...report, findings: [...unsettled, ...report.findings, ...complaints] };
  } finally {
    http.close();
    await database.end();
  }
}

/**
 * What stands in the database, as this connection sees it, against itself and against the status listener: every
 * certificate has its earlier intent and verifies; serial numbers are unique; nothing is signed without an intent, twice,
 * or unaudited; no order and no request has two certificates; nothing that clients were told is missing; OCSP and CRLs say
 * of every certificate what `ca` says, and of no other; of a CA's keys one issues, from its switch on; the audit tree is whole.
 */
export async function checkRecords(
  database: Client,
  listener: StatusListener,
  acknowledged: Acknowledged = { names: [], certificates: [] },
): Promise<CheckReport> {
  const issuers = await issuersOf(database);
  const rows = await certificatesOf(database);
  const audit = await readAuditLog(database);
  return {
    findings: [
      ...rows.flatMap((row) => checkCertificate(row, issuers)),
      ...(await checkUniqueness(database)),
      ...(await checkIssuers(database)),
      ...(await checkSignatures(database, audit.signatures)),
      ...(await checkAcknowledged(database, acknowledged)),
      ...(await checkRevocation(listener, rows, issuers, await answeredIssuers(database))),
      ...audit.findings,
    ],
    certificates: rows.filter((row) => row.certificate !== null).length,
    abandoned: rows.filter((row) => row.certificate === null).length,
    revoked: rows.filter((row) => row.status === 'revoked').length,
    auditLeaves: audit.leaves,
  };
}

/** The superuser's connection to a running PKI's database. @param server the external one; default: the embedded one */
export async function connect(pki: PkiProcess, server?: ClientConfig): Promise<Client> {
  const client = new Client(server ?? embeddedServer(pki));
  await client.connect();
  return client;
}

function embeddedServer({ dataDir }: PkiProcess): ClientConfig {
  const { database } = JSON.parse(readFileSync(join(dataDir, 'run.json'), 'utf8')) as {
    database: { host: string; port: number };
  };
  const password = readFileSync(join(dataDir, 'pg', 'admin-password'), 'utf8').trim();
  return { ...database, user: 'gigvault_admin', password, database: 'gigvault' };
}
