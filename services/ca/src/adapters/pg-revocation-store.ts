import type { EventLog } from '@gigvault/database/event-log';
import { query } from '@gigvault/database/query';
import { transaction } from '@gigvault/database/transaction';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Pool } from 'pg';
import type { RevocationStore, RevokedCertificate } from '../ports/revocation-store.ts';

/** Revocations in PostgreSQL. */
export function createPgRevocationStore(pool: Pool, eventLog: EventLog): RevocationStore {
  return {
    async issuersOf(serialNumber) {
      const { rows } = await query<{ issuer_id: string }>(pool, {
        name: 'ca.issuers-of-serial',
        text: 'SELECT issuer_id FROM certificate WHERE serial_number = $1 ORDER BY issuer_id',
        values: [serialNumber],
      });
      return rows.map((row) => row.issuer_id);
    },
    revoke: (revocation, event) =>
      durableStep('ca.revocation', () =>
        transaction(pool, async (client) => {
          const { rows } = await client.query<RevokedRow>({
            name: 'ca.revoke',
            text: REVOKE,
            values: [
              revocation.serialNumber,
              revocation.issuerId,
              revocation.reasonCode,
              revocation.at,
            ],
          });
          if (rows[0] === undefined) return undefined;
          const revoked = toRevoked(rows[0]);
          await eventLog.append(client, [event(revoked)]);
          return revoked;
        }),
      ),
  };
}

/** $1 serial number, $2 issuer, $3 reasonCode, $4 now. The first revocation's time stays when the reason is raised. */
const REVOKE = `
WITH revoked AS (
  UPDATE certificate SET status = 'revoked', revoked_at = COALESCE(revoked_at, $4), reason_code = $3
  WHERE serial_number = $1 AND issuer_id = $2 AND (status = 'valid' OR ($3 = 1 AND reason_code <> 1))
  RETURNING issuer_id, serial_number, crl_shard, revoked_at, reason_code, not_after, spki_sha256
), blocked AS (
  INSERT INTO blocked_key (spki_sha256, reason, created_at)
  SELECT spki_sha256, 'keyCompromise', $4 FROM revoked WHERE reason_code = 1 ON CONFLICT DO NOTHING
)
SELECT issuer_id, serial_number, crl_shard, revoked_at, reason_code, not_after FROM revoked`;

interface RevokedRow {
  issuer_id: string;
  serial_number: string;
  crl_shard: number;
  revoked_at: string;
  reason_code: number;
  not_after: string;
}

function toRevoked(row: RevokedRow): RevokedCertificate {
  return {
    issuerId: row.issuer_id,
    serialNumber: row.serial_number,
    crlShard: row.crl_shard,
    revokedAt: Number(row.revoked_at),
    reasonCode: row.reason_code,
    notAfter: Number(row.not_after),
  };
}
