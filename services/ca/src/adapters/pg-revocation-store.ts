import type { EventLog } from '@gigvault/database/event-log';
import { query } from '@gigvault/database/query';
import { transaction } from '@gigvault/database/transaction';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Pool } from 'pg';
import type {
  CompromisedKeys,
  RevocationStore,
  RevokedCertificate,
} from '../ports/revocation-store.ts';

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

/** Compromised keys in PostgreSQL. */
export function createPgCompromisedKeys(pool: Pool, eventLog: EventLog): CompromisedKeys {
  return {
    async list(limit) {
      const { rows } = await query<{ spki_sha256: string; created_at: string }>(pool, {
        name: 'ca.compromised-keys',
        text: `SELECT spki_sha256, created_at FROM blocked_key
               WHERE NOT swept AND reason = 'keyCompromise' ORDER BY created_at LIMIT $1`,
        values: [limit],
      });
      return rows.map((row) => ({
        spkiSha256: row.spki_sha256,
        blockedAt: Number(row.created_at),
      }));
    },
    revoke: (spkiSha256, at, limit, event) =>
      durableStep('ca.revocation-by-key', () =>
        transaction(pool, async (client) => {
          const { rows } = await client.query<RevokedRow>({
            name: 'ca.revoke-by-key',
            text: REVOKE_BY_KEY,
            values: [spkiSha256, at, limit],
          });
          const revoked = rows.map(toRevoked);
          await eventLog.append(client, revoked.map(event));
          return revoked;
        }),
      ),
    async settle(spkiSha256) {
      await durableStep('ca.key-swept', () =>
        query(pool, {
          name: 'ca.settle-compromised-key',
          text: 'UPDATE blocked_key SET swept = true WHERE spki_sha256 = $1',
          values: [spkiSha256],
        }),
      );
    },
  };
}

/** $1 key, $2 now, $3 limit. Rows that somebody else is at are left for the next round. */
const REVOKE_BY_KEY = `
UPDATE certificate c SET status = 'revoked', revoked_at = $2, reason_code = 1
FROM (
  SELECT serial_number, issuer_id FROM certificate WHERE spki_sha256 = $1 AND status = 'valid'
  LIMIT $3 FOR UPDATE SKIP LOCKED
) AS other
WHERE c.serial_number = other.serial_number AND c.issuer_id = other.issuer_id
RETURNING c.issuer_id, c.serial_number, c.crl_shard, c.revoked_at, c.reason_code, c.not_after, c.common_name, c.names, c.profile,
  c.requester, c.tenant_id`;

/** $1 serial number, $2 issuer, $3 reasonCode, $4 now. The first revocation's time stays when the reason is raised. */
const REVOKE = `
WITH revoked AS (
  UPDATE certificate SET status = 'revoked', revoked_at = COALESCE(revoked_at, $4), reason_code = $3
  WHERE serial_number = $1 AND issuer_id = $2 AND (status = 'valid' OR ($3 = 1 AND reason_code <> 1))
  RETURNING *
), blocked AS (
  INSERT INTO blocked_key (spki_sha256, reason, created_at)
  SELECT spki_sha256, 'keyCompromise', $4 FROM revoked WHERE reason_code = 1 ON CONFLICT DO NOTHING
)
SELECT issuer_id, serial_number, crl_shard, revoked_at, reason_code, not_after, common_name, names, profile, requester, tenant_id
FROM revoked`;

interface RevokedRow {
  issuer_id: string;
  serial_number: string;
  crl_shard: number;
  revoked_at: string;
  reason_code: number;
  not_after: string;
  common_name: string;
  names: string[];
  profile: string;
  requester: string;
  tenant_id: string;
}

function toRevoked(row: RevokedRow): RevokedCertificate {
  return {
    issuerId: row.issuer_id,
    serialNumber: row.serial_number,
    crlShard: row.crl_shard,
    revokedAt: Number(row.revoked_at),
    reasonCode: row.reason_code,
    notAfter: Number(row.not_after),
    commonName: row.common_name,
    names: row.names,
    profile: row.profile,
    requester: row.requester,
    tenantId: row.tenant_id,
  };
}
