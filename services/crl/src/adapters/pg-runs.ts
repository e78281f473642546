import { query } from '@gigvault/database/query';
import type { ClientBase, Pool } from 'pg';
import type { ShardKey } from '../ports/shard.ts';

/** Entries of a full run: about half a megabyte, which is handled within a few milliseconds. */
export const FULL_RUN = 10_000;

/** The shard's last run takes up what came behind it, until it is full. */
const REPLACE_LAST = {
  name: 'crl-replace-last-run',
  text: `UPDATE crl_run SET replaced = true
          WHERE run_id = (SELECT run_id FROM crl_run WHERE issuer_id = $1 AND crl_shard = $2 AND NOT replaced
                           ORDER BY last_seq DESC LIMIT 1)
            AND entry_count < $3
            AND EXISTS (SELECT FROM revoked WHERE issuer_id = $1 AND crl_shard = $2 AND seq > last_seq)`,
};

/** Between which runs there are entries. */
const GAPS = {
  name: 'crl-find-gaps',
  text: `WITH run AS (
           SELECT first_seq, last_seq FROM crl_run WHERE issuer_id = $1 AND crl_shard = $2 AND NOT replaced
         ), gap AS (
           SELECT lag(last_seq, 1, 0::bigint) OVER (ORDER BY last_seq) AS above, first_seq AS below FROM run
           UNION ALL SELECT COALESCE(max(last_seq), 0), 9223372036854775807 FROM run
         )
         SELECT above::text, below::text FROM gap
          WHERE (SELECT seq FROM revoked WHERE issuer_id = $1 AND crl_shard = $2 AND seq > above AND seq < below
                  ORDER BY seq LIMIT 1) IS NOT NULL`,
};

/** Entries are joined where they lie, in the order of their arrival. */
const PUT = {
  name: 'crl-put-run',
  text: `INSERT INTO crl_run (issuer_id, crl_shard, first_seq, last_seq, entry_count, octets)
         SELECT $1, $2, min(seq), max(seq), count(*), string_agg(entry, ''::bytea)
           FROM (SELECT seq, entry FROM revoked
                  WHERE issuer_id = $1 AND crl_shard = $2 AND seq > $3 AND seq < $4
                  ORDER BY seq LIMIT $5) AS entries
         HAVING count(*) > 0
         RETURNING last_seq::text`,
};

const MEASURE = {
  name: 'crl-measure-runs',
  text: `SELECT COALESCE(sum(entry_count), 0)::integer AS count, COALESCE(sum(octet_length(octets)), 0)::bigint AS octets
           FROM crl_run WHERE issuer_id = $1 AND crl_shard = $2 AND NOT replaced`,
};

const PRUNE = {
  name: 'crl-prune-runs',
  text: `DELETE FROM crl_run AS r WHERE issuer_id = $1 AND crl_shard = $2 AND replaced
            AND NOT EXISTS (SELECT FROM crl_part WHERE run_id = r.run_id)`,
};

/** Makes the shard's runs what its entries are. The caller's transaction has locked the shard. @param fullRun entries of a full run */
export async function keepRuns(
  client: ClientBase,
  { issuerId, crlShard }: ShardKey,
  fullRun: number,
): Promise<void> {
  const shard = [issuerId, crlShard];
  await query(client, { ...REPLACE_LAST, values: [...shard, fullRun] });
  const gaps = await query<{ above: string; below: string }>(client, { ...GAPS, values: shard });
  for (const { above, below } of gaps.rows) {
    let last: string | undefined = above;
    while (last !== undefined) {
      const put: { rows: { last_seq: string }[] } = await query(client, {
        ...PUT,
        values: [...shard, last, below, fullRun],
      });
      last = put.rows[0]?.last_seq;
    }
  }
}

/** How many entries the shard's runs have, and their octets. */
export async function measureRuns(
  client: ClientBase,
  { issuerId, crlShard }: ShardKey,
): Promise<{ readonly count: number; readonly octets: number }> {
  const { rows } = await query<{ count: number; octets: number }>(client, {
    ...MEASURE,
    values: [issuerId, crlShard],
  });
  return { count: rows[0]?.count ?? 0, octets: Number(rows[0]?.octets) };
}

/** Deletes replaced runs of which there is no CRL any more. */
export async function pruneRuns(
  client: ClientBase | Pool,
  { issuerId, crlShard }: ShardKey,
): Promise<void> {
  await query(client, { ...PRUNE, values: [issuerId, crlShard] });
}
