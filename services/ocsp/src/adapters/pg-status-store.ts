import { type Batcher, createBatcher } from '@gigvault/database/batcher';
import { query } from '@gigvault/database/query';
import type { Pool, PoolClient } from 'pg';
import type { CertificateKey, CertificateState, StateChange } from '../ports/certificate-state.ts';
import type { StatusChanges, StatusStore } from '../ports/status-store.ts';

/** The channel on which replicas tell each other what changed. Payload: JSON array of [issuerId, serialNumber]. */
export const STATUS_CHANNEL = 'ocsp_status';

/** NOTIFY takes less than 8000 octets; a key is below 200. */
const KEYS_PER_NOTIFY = 40;

interface StatusRow {
  readonly issuer_id: string;
  readonly serial_number: string;
  readonly status: 'good' | 'revoked';
  readonly revoked_at: string;
  readonly reason_code: number;
  readonly not_after: string;
}

const FIND = {
  name: 'ocsp-find-status',
  text: `SELECT s.issuer_id, s.serial_number, s.status, s.revoked_at, s.reason_code, s.not_after
           FROM unnest($1::text[], $2::text[]) AS w (issuer_id, serial_number)
           JOIN status s ON s.issuer_id = w.issuer_id AND s.serial_number = w.serial_number`,
};

/** Reads states; look-ups that arrive while a query runs share the next one. `maxQueue` bounds those that wait. */
export function pgStatusStore(pool: Pool, maxQueue: number): StatusStore {
  const batcher: Batcher<CertificateKey, CertificateState | undefined> = createBatcher({
    name: 'ocsp.status',
    maxItems: 500,
    maxQueue,
    run: async (keys) => {
      const found = await findAll(pool, keys);
      return keys.map((key) => ({ ok: true as const, value: found.get(keyOf(key)) }));
    },
  });
  return { find: (issuerId, serialNumber) => batcher.submit({ issuerId, serialNumber }) };
}

async function findAll(
  pool: Pool,
  keys: readonly CertificateKey[],
): Promise<ReadonlyMap<string, CertificateState>> {
  const values = [keys.map((k) => k.issuerId), keys.map((k) => k.serialNumber)];
  const { rows } = await query<StatusRow>(pool, { ...FIND, values });
  return new Map(
    rows.map((row) => [
      keyOf({ issuerId: row.issuer_id, serialNumber: row.serial_number }),
      {
        status: row.status,
        revokedAt: Number(row.revoked_at),
        reasonCode: row.reason_code,
        notAfter: Number(row.not_after),
      },
    ]),
  );
}

const APPLY = {
  name: 'ocsp-apply-status',
  text: `INSERT INTO status AS s (issuer_id, serial_number, status, revoked_at, reason_code, not_after)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::smallint[], $6::bigint[])
         ON CONFLICT (issuer_id, serial_number) DO UPDATE
           SET status = EXCLUDED.status, revoked_at = EXCLUDED.revoked_at, reason_code = EXCLUDED.reason_code
         WHERE EXCLUDED.status = 'revoked'`,
};

/** Writes states in the transaction of `client`, and tells the other replicas on commit. */
export function pgStatusChanges(client: PoolClient): StatusChanges {
  return {
    async apply(changes) {
      await client.query({ ...APPLY, values: columns(changes) });
      for (let i = 0; i < changes.length; i += KEYS_PER_NOTIFY) {
        const keys = changes
          .slice(i, i + KEYS_PER_NOTIFY)
          .map((change) => [change.issuerId, change.serialNumber]);
        await client.query('SELECT pg_notify($1, $2)', [STATUS_CHANNEL, JSON.stringify(keys)]);
      }
    },
  };
}

function columns(changes: readonly StateChange[]): unknown[] {
  return [
    changes.map((c) => c.issuerId),
    changes.map((c) => c.serialNumber),
    changes.map((c) => c.status),
    changes.map((c) => c.revokedAt),
    changes.map((c) => c.reasonCode),
    changes.map((c) => c.notAfter),
  ];
}

function keyOf(key: CertificateKey): string {
  return `${key.issuerId}/${key.serialNumber}`;
}
