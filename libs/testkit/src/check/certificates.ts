import { X509Certificate } from 'node:crypto';
import { readCertificate } from '@gigvault/x509/certificate';
import type { Client } from 'pg';

/** A certificate as `ca` has it, with its intent. */
export interface CertificateRow {
  issuer_id: string;
  serial_number: string;
  certificate: Buffer | null;
  request_id: string;
  status: 'valid' | 'revoked';
  reason_code: number;
  crl_shard: number;
  tbs: Buffer | null;
  intent_status: string | null;
  /** Unix milliseconds, as text. */
  issued_at: string;
  intended_at: string | null;
}

/** The issuers' certificates, DER, by id. */
export async function issuersOf(database: Client): Promise<Map<string, Buffer>> {
  const { rows } = await database.query<{ issuer_id: string; certificate: Buffer }>(
    'SELECT issuer_id, certificate FROM ca.issuer',
  );
  return new Map(rows.map((row) => [row.issuer_id, row.certificate]));
}

/** Every certificate, released or not. */
export async function certificatesOf(database: Client): Promise<CertificateRow[]> {
  const { rows } = await database.query<CertificateRow>(
    `SELECT c.issuer_id, c.serial_number, c.certificate, c.request_id, c.status, c.reason_code, c.crl_shard, c.issued_at, i.tbs, i.status AS intent_status, i.created_at AS intended_at
     FROM ca.certificate c LEFT JOIN ca.intent i ON i.intent_id = c.intent_id AND i.serial_number = c.serial_number AND i.issuer_id = c.issuer_id`,
  );
  return rows;
}

/** What is wrong with a certificate: no intent before it, other bytes than its intent's, a signature that does not verify. */
export function checkCertificate(
  row: CertificateRow,
  issuers: ReadonlyMap<string, Buffer>,
): string[] {
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
  if (Number(row.intended_at) > Number(row.issued_at))
    findings.push(`${name} is older than its intent`);
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

/** What is there twice, or dangles. */
export async function checkUniqueness(database: Client): Promise<string[]> {
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
