import type { EventLog } from '@gigvault/database/event-log';
import { query } from '@gigvault/database/query';
import { transaction } from '@gigvault/database/transaction';
import { parseKeyHandle } from '@gigvault/keystore/key-store';
import type { PeerName } from '@gigvault/rpc/service-name';
import { readPublicKey } from '@gigvault/x509/public-key';
import type { Pool } from 'pg';
import type { Purpose } from '../keys/grants.ts';
import type { KeyState, StoredKey } from '../keys/stored-key.ts';
import type { KeyTable } from '../ports/key-table.ts';

const COLUMNS =
  'key_id, state, spki, backend, handle, purposes, callers, issuer_name, owner, tenant_id, created_at';

interface KeyRow {
  readonly key_id: string;
  readonly state: KeyState;
  readonly spki: Buffer;
  readonly backend: string;
  readonly handle: string;
  readonly purposes: Purpose[];
  readonly callers: PeerName[];
  readonly issuer_name: Buffer | null;
  readonly owner: string;
  readonly tenant_id: string;
  readonly created_at: Date;
}

/** The `key` table. */
export function pgKeyTable(pool: Pool, eventLog: EventLog): KeyTable {
  return {
    insert: (key, event) =>
      transaction(pool, async (client) => {
        const { rowCount } = await client.query({
          name: 'key-insert',
          text: `INSERT INTO key (key_type, ${COLUMNS})
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (key_id) DO NOTHING`,
          values: insertValues(key),
        });
        if (rowCount === 0) return false;
        await eventLog.append(client, [event]);
        return true;
      }),

    async find(keyId) {
      const { rows } = await query<KeyRow>(pool, {
        name: 'key-find',
        text: `SELECT ${COLUMNS} FROM key WHERE key_id = $1`,
        values: [keyId],
      });
      return rows.map(toStoredKey)[0];
    },

    async list({ limit, after, tenantId }) {
      const { rows } = await query<KeyRow>(pool, {
        name: 'key-list',
        text: `SELECT ${COLUMNS} FROM key
               WHERE key_id > $1 AND ($2::text IS NULL OR tenant_id = $2) ORDER BY key_id LIMIT $3`,
        values: [after, tenantId ?? null, limit],
      });
      return rows.map(toStoredKey);
    },
  };
}

function insertValues(key: StoredKey): unknown[] {
  return [
    key.publicKey.keyType,
    key.keyId,
    key.state,
    key.publicKey.spki,
    key.backend,
    key.handle,
    key.purposes,
    key.callers,
    key.issuerName,
    key.owner,
    key.tenantId,
    new Date(key.createdAt),
  ];
}

function toStoredKey(row: KeyRow): StoredKey {
  return {
    keyId: row.key_id,
    state: row.state,
    publicKey: readPublicKey(row.spki),
    backend: row.backend,
    handle: parseKeyHandle(row.handle),
    purposes: row.purposes,
    callers: row.callers,
    issuerName: row.issuer_name,
    owner: row.owner,
    tenantId: row.tenant_id,
    createdAt: row.created_at.getTime(),
  };
}
