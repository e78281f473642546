import { query } from '@gigvault/database/query';
import { type ClientBase, escapeLiteral, type Pool } from 'pg';
import type { ShardKey } from '../ports/shard.ts';
import { copyRows } from './pg-copy.ts';

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

/** The parts from `first` on. */
export function readParts(pool: Pool, intentId: string, first: number): AsyncIterable<Buffer> {
  return copyRows(
    pool,
    `SELECT COALESCE(p.octets, r.octets) FROM crl_part p LEFT JOIN crl_run r USING (run_id)
      WHERE p.intent_id = ${escapeLiteral(intentId)} AND p.part_no >= ${first} ORDER BY p.part_no`,
  );
}
