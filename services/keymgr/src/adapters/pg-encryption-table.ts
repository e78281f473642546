import { column } from '@gigvault/database/columns';
import type { EventLog } from '@gigvault/database/event-log';
import { shareStatement } from '@gigvault/database/lookup';
import { ofThisRequest } from '@gigvault/database/new-event';
import { query } from '@gigvault/database/query';
import type { Pool } from 'pg';
import type { EncryptionOutcome, EncryptionTable } from '../ports/encryption-table.ts';
import { recordUses, type Use } from './recorded-uses.ts';

interface Encryption extends Use {
  readonly limit: number;
}

// Locked as by a use. In order, so that two processes that count for the same keys wait for each other in one order only. Of a version that
// would go beyond its limit nobody's is counted; each then comes anew.
const COUNTED = `WITH asked AS (
    SELECT u.n, u.key_id, u.version, u.upto
    FROM unnest($1::text[], $2::integer[], $3::text[], $4::integer[], $5::bigint[])
      WITH ORDINALITY AS u (key_id, version, state, grants_version, upto, n)
    JOIN key AS k ON k.key_id = u.key_id AND k.version = u.version AND k.state = u.state AND k.grants_version = u.grants_version
    FOR SHARE OF k
  ), many AS (
    SELECT key_id, version, count(*) AS count, min(upto) AS upto FROM asked GROUP BY key_id, version
  ), counted AS (
    INSERT INTO encryption_count AS c (key_id, version, count, upto)
    SELECT key_id, version, count, upto FROM many WHERE count <= upto ORDER BY key_id, version
    ON CONFLICT (key_id, version) DO UPDATE SET count = c.count + excluded.count WHERE c.count + excluded.count <= excluded.upto
    RETURNING key_id, version
  ), told AS (
    SELECT a.n::text AS key FROM asked AS a JOIN counted USING (key_id, version)
  )`;

const RECORD = { name: 'encryption-record', expressions: COUNTED };

/** The table `encryption_count`. */
export function pgEncryptionTable(pool: Pool, eventLog: EventLog): EncryptionTable {
  const count = shareStatement('keymgr.encryption', (items: readonly Encryption[]) =>
    recordUses(eventLog, RECORD, items, column.bigint(items.map(({ limit }) => limit))),
  );
  return {
    async record(key, event, limit): Promise<EncryptionOutcome> {
      if (await count({ key, event: ofThisRequest(event), limit })) return 'recorded';
      const { rows } = await query<{ exhausted: boolean }>(pool, {
        name: 'encryption-count',
        text: 'SELECT count >= $3 AS exhausted FROM encryption_count WHERE key_id = $1 AND version = $2',
        values: [key.keyId, key.version, limit],
      });
      return rows[0]?.exhausted === true ? 'exhausted' : 'changed';
    },
  };
}
