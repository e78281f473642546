import { query } from '@gigvault/database/query';
import type { ClientBase, Pool } from 'pg';
import type { ShardKey } from '../ports/shard.ts';

/** Entries of a part: about half a megabyte, which is handled within a few milliseconds. */
const ENTRIES = 10_000;

const MEASURE = {
  name: 'crl-measure-entries',
  text: `SELECT count(*)::integer AS count, COALESCE(sum(octet_length(entry)), 0)::bigint AS octets
           FROM revoked WHERE issuer_id = $1 AND crl_shard = $2`,
};

const PUT = {
  name: 'crl-put-part',
  text: 'INSERT INTO crl_part (intent_id, part_no, octets) VALUES ($1, $2, $3)',
};

/** Entries are joined where they lie, in the order of their arrival, and written there: what comes back is a copy. */
const PUT_ENTRIES = {
  name: 'crl-put-entries',
  text: `WITH chunk AS MATERIALIZED (
           SELECT count(*)::integer AS n, max(seq) AS last, string_agg(entry, ''::bytea) AS octets
             FROM (SELECT seq, entry FROM revoked
                    WHERE issuer_id = $1 AND crl_shard = $2 AND seq > $3
                    ORDER BY seq LIMIT ${ENTRIES}) AS entries
         ), put AS (
           INSERT INTO crl_part (intent_id, part_no, octets) SELECT $4::uuid, $5::integer, octets FROM chunk WHERE n > 0
         )
         SELECT last::text, octets FROM chunk WHERE n > 0`,
};

const READ = {
  name: 'crl-read-part',
  text: `SELECT part_no, octets FROM crl_part WHERE intent_id = $1 AND part_no >= $2 ORDER BY part_no LIMIT 1`,
};

/** How many entries the shard has, and their octets. */
export async function measureEntries(
  client: ClientBase,
  { issuerId, crlShard }: ShardKey,
): Promise<{ readonly count: number; readonly octets: number }> {
  const { rows } = await query<{ count: number; octets: string }>(client, {
    ...MEASURE,
    values: [issuerId, crlShard],
  });
  return { count: rows[0]?.count ?? 0, octets: Number(rows[0]?.octets) };
}

/** Writes one part. */
export async function putPart(
  client: ClientBase,
  intentId: string,
  partNumber: number,
  octets: Buffer,
): Promise<void> {
  await query(client, { ...PUT, values: [intentId, partNumber, octets] });
}

/** Writes the shard's entries as parts from `first` on, and returns them. @param wrote told of each while the next one is being written */
export async function putEntries(
  client: ClientBase,
  { issuerId, crlShard }: ShardKey,
  { intentId, first }: { readonly intentId: string; readonly first: number },
  wrote: (part: Buffer) => void,
): Promise<Buffer[]> {
  const parts: Buffer[] = [];
  const put = (after: string) =>
    query<{ last: string; octets: Buffer }>(client, {
      ...PUT_ENTRIES,
      values: [issuerId, crlShard, after, intentId, first + parts.length],
    });
  let next = put('0');
  for (;;) {
    const [row] = (await next).rows;
    if (!row) return parts;
    parts.push(row.octets);
    next = put(row.last);
    wrote(row.octets);
  }
}

/** The parts from `first` on, one by one. */
export async function* readParts(
  client: ClientBase | Pool,
  intentId: string,
  first: number,
): AsyncGenerator<Buffer> {
  let next = first;
  for (;;) {
    const [row] = (
      await query<{ part_no: number; octets: Buffer }>(client, {
        ...READ,
        values: [intentId, next],
      })
    ).rows;
    if (!row) return;
    yield row.octets;
    next = row.part_no + 1;
  }
}
