import { query } from '@gigvault/database/query';
import type { Pool } from 'pg';
import type {
  CertificateFilter,
  CertificateRecord,
  CertificateStore,
  PagePosition,
} from '../ports/certificate-store.ts';

const COLUMNS = `issuer_id, serial_number, certificate, request_id, common_name, names, profile, requester, not_before,
  not_after, crl_shard, status, issued_at, revoked_at, reason_code`;

/** Reads certificates from PostgreSQL. */
export function createPgCertificateStore(pool: Pool): CertificateStore {
  return {
    async findBySerialNumber(serialNumber, issuerId) {
      const { rows } = await query<CertificateRow>(pool, {
        name: 'ca.find-certificate',
        text: `SELECT ${COLUMNS} FROM certificate
               WHERE serial_number = $1 AND ($2::text IS NULL OR issuer_id = $2) ORDER BY issuer_id`,
        values: [serialNumber, issuerId ?? null],
      });
      return rows.map(toRecord);
    },
    async list(filter, after, limit) {
      const { text, values } = listQuery(filter, after, limit);
      const { rows } = await query<CertificateRow>(pool, { text, values });
      return rows.map(toRecord);
    },
    async statusOf(issuerId, serialNumbers) {
      const { rows } = await query<CertificateRow>(pool, {
        name: 'ca.certificate-status',
        text: `SELECT serial_number, status, revoked_at, reason_code, not_after FROM certificate
               WHERE serial_number = ANY($2::text[]) AND ($1 = '' OR issuer_id = $1)`,
        values: [issuerId, serialNumbers],
      });
      return rows.map((row) => ({
        serialNumber: row.serial_number,
        status: row.status,
        revokedAt: numberOf(row.revoked_at),
        reasonCode: row.reason_code ?? undefined,
        notAfter: Number(row.not_after),
      }));
    },
  };
}

/** Every condition has an index that begins with it and ends with the order of the page. */
function listQuery(
  filter: CertificateFilter,
  after: PagePosition | undefined,
  limit: number,
): { text: string; values: unknown[] } {
  const conditions: string[] = [];
  const values: unknown[] = [];
  const place = (value: unknown) => `$${values.push(value)}`;
  if (filter.commonName !== undefined) conditions.push(`common_name = ${place(filter.commonName)}`);
  if (filter.requester !== undefined) conditions.push(`requester = ${place(filter.requester)}`);
  if (filter.status === 'revoked') conditions.push(`status = 'revoked'`);
  if (filter.status === 'valid')
    conditions.push(`status = 'valid' AND not_after >= ${place(filter.now)}`);
  if (filter.status === 'expired')
    conditions.push(`status = 'valid' AND not_after < ${place(filter.now)}`);
  const order = filter.status === 'expired' ? 'not_after' : 'issued_at';
  if (after !== undefined) {
    const position = [after.at, after.serialNumber, after.issuerId].map(place).join(', ');
    conditions.push(`(${order}, serial_number, issuer_id) < (${position})`);
  }
  const where = conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : '';
  const text = `SELECT ${COLUMNS} FROM certificate ${where}
    ORDER BY ${order} DESC, serial_number DESC, issuer_id DESC LIMIT ${place(limit)}`;
  return { text, values };
}

interface CertificateRow {
  issuer_id: string;
  serial_number: string;
  certificate: Buffer | null;
  request_id: string;
  common_name: string;
  names: string[];
  profile: string;
  requester: string;
  not_before: string;
  not_after: string;
  crl_shard: number;
  status: 'valid' | 'revoked';
  issued_at: string;
  revoked_at: string | null;
  reason_code: number | null;
}

function toRecord(row: CertificateRow): CertificateRecord {
  return {
    issuerId: row.issuer_id,
    serialNumber: row.serial_number,
    certificate: row.certificate ?? undefined,
    requestId: row.request_id,
    commonName: row.common_name,
    names: row.names,
    profile: row.profile,
    requester: row.requester,
    notBefore: Number(row.not_before),
    notAfter: Number(row.not_after),
    crlShard: row.crl_shard,
    status: row.status,
    issuedAt: Number(row.issued_at),
    revokedAt: numberOf(row.revoked_at),
    reasonCode: row.reason_code ?? undefined,
  };
}

function numberOf(value: string | null): number | undefined {
  return value === null ? undefined : Number(value);
}
