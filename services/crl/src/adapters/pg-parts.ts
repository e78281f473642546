import { query } from '@gigvault/database/query';
import type { ClientBase, Pool } from 'pg';
import type { ShardKey } from '../ports/shard.ts';

const PUT = {
  name: 'crl-put-part',
  text: 'INSERT INTO crl_part (intent_id, part_no, octets) VALUES ($1, $2, $3)',
};

const PUT_LAST = {
  name: 'crl-put-last-part',
  text: `INSERT INTO crl_part (intent_id, part_no, octets)
         SELECT $1, max(part_no) + 1, $2 FROM crl_part WHERE intent_id = $1`,
};

const PUT_RUNS = {
  name: 'crl-put-runs',
  text: `INSERT INTO crl_part (intent_id, part_no, run_id)
         SELECT $3, $4 + row_number() OVER (ORDER BY last_seq) - 1, run_id
           FROM crl_run WHERE issuer_id = $1 AND crl_shard = $2 AND NOT replaced`,
};

const READ = {
  name: 'crl-read-part',
  text: `SELECT p.part_no, COALESCE(p.octets, r.octets) AS octets FROM crl_part p LEFT JOIN crl_run r USING (run_id)
          WHERE p.intent_id = $1 AND p.part_no >= $2 ORDER BY p.part_no LIMIT 1`,
};

/** Writes one part. */
export async function putPart(
  client: ClientBase,
  intentId: string,
  partNumber: number,
  octets: Buffer,
): Promise<void> {
  await query(client, { ...PUT, values: [intentId, partNumber, octets] });
}

/** Writes one behind those that are there. */
export async function putLastPart(
  client: ClientBase,
  intentId: string,
  octets: Buffer,
): Promise<void> {
  await query(client, { ...PUT_LAST, values: [intentId, octets] });
}

/** The shard's runs are the parts from `first` on. */
export async function putRuns(
  client: ClientBase,
  { issuerId, crlShard }: ShardKey,
  { intentId, first }: { readonly intentId: string; readonly first: number },
): Promise<void> {
  await query(client, { ...PUT_RUNS, values: [issuerId, crlShard, intentId, first] });
}

/** The parts from `first` on, one by one; the next one is read while one is handled. */
export async function* readParts(
  client: ClientBase | Pool,
  intentId: string,
  first: number,
): AsyncGenerator<Buffer> {
  const read = (from: number) =>
    query<{ part_no: number; octets: Buffer }>(client, { ...READ, values: [intentId, from] });
  let next = read(first);
  for (;;) {
    const [row] = (await next).rows;
    if (!row) return;
    next = read(row.part_no + 1);
    // Told when it is waited for, which is never when nobody wants the rest.
    next.catch(() => undefined);
    yield row.octets;
  }
}
