import type { PoolClient } from 'pg';
import type { RevocationStore, RevokedEntry } from '../ports/revocation-store.ts';

const TOUCH = {
  name: 'crl-touch-shards',
  text: `INSERT INTO shard AS s (issuer_id, crl_shard, changed_at)
         SELECT DISTINCT w.issuer_id, w.crl_shard, $3::bigint
           FROM unnest($1::text[], $2::integer[]) AS w (issuer_id, crl_shard)
          ORDER BY 1, 2
         ON CONFLICT (issuer_id, crl_shard) DO UPDATE SET changed_at = COALESCE(s.changed_at, EXCLUDED.changed_at)`,
};

const RECORD = {
  name: 'crl-record-revoked',
  text: `INSERT INTO revoked (issuer_id, serial_number, crl_shard, first_number, revoked_at, reason_code, not_after, entry)
         SELECT w.issuer_id, w.serial_number, w.crl_shard, s.crl_number + 1, w.revoked_at, w.reason_code, w.not_after, w.entry
           FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::smallint[], $6::bigint[], $7::bytea[])
                AS w (issuer_id, serial_number, crl_shard, revoked_at, reason_code, not_after, entry)
           JOIN shard s ON s.issuer_id = w.issuer_id AND s.crl_shard = w.crl_shard
         ON CONFLICT (issuer_id, serial_number) DO UPDATE
           SET revoked_at = EXCLUDED.revoked_at, reason_code = EXCLUDED.reason_code, entry = EXCLUDED.entry`,
};

/** Revocations in table `revoked`, in the transaction of `client`. */
export function pgRevocationStore(client: PoolClient): RevocationStore {
  return {
    async record(entries, changedAt) {
      const issuerIds = entries.map((e) => e.issuerId);
      const shards = entries.map((e) => e.crlShard);
      // First, since it locks the shards: their numbers stand still, and a CRL of the next number will hold these entries.
      await client.query({ ...TOUCH, values: [issuerIds, shards, changedAt] });
      await client.query({ ...RECORD, values: columns(entries) });
    },
  };
}

function columns(entries: readonly RevokedEntry[]): unknown[] {
  return [
    entries.map((e) => e.issuerId),
    entries.map((e) => e.serialNumber),
    entries.map((e) => e.crlShard),
    entries.map((e) => e.revokedAt),
    entries.map((e) => e.reasonCode),
    entries.map((e) => e.notAfter),
    entries.map((e) => e.entry),
  ];
}
