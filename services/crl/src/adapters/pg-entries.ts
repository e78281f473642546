import type { PoolClient } from 'pg';
import type { ShardKey } from '../ports/shard.ts';

/** Entries that travel in one row: about 2 MB. */
const CHUNK = 50_000;

const READ = {
  name: 'crl-read-entries',
  text: `SELECT count(*)::integer AS n, max(seq) AS last, string_agg(entry, ''::bytea) AS entries
           FROM (SELECT seq, entry FROM revoked
                  WHERE issuer_id = $1 AND crl_shard = $2 AND seq > $3
                  ORDER BY seq LIMIT $4) AS chunk`,
};

/** The shard's entries as they stand in the CRL, already encoded, oldest first: memory is their size, once. */
export async function readEntries(
  client: PoolClient,
  { issuerId, crlShard }: ShardKey,
): Promise<{ readonly entries: Buffer; readonly count: number }> {
  const chunks: Buffer[] = [];
  let count = 0;
  let last: number | string = 0;
  for (;;) {
    const chunk: ChunkRow = await readChunk(client, [issuerId, crlShard, last, CHUNK]);
    if (!chunk.entries) break;
    chunks.push(chunk.entries);
    count += chunk.n;
    last = chunk.last;
  }
  return { entries: Buffer.concat(chunks), count };
}

/** An aggregate always has one row; without entries its columns are NULL. */
async function readChunk(client: PoolClient, values: unknown[]): Promise<ChunkRow> {
  const { rows } = await client.query<ChunkRow>({ ...READ, values });
  return rows[0]!;
}

interface ChunkRow {
  readonly n: number;
  readonly last: number | string;
  readonly entries: Buffer | null;
}
