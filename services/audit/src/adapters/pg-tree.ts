import { column } from '@gigvault/database/columns';
import { isUniqueViolation } from '@gigvault/database/database-error';
import { query } from '@gigvault/database/query';
import type { NodeId } from '@gigvault/merkle/tree';
import type { ClientBase, Pool, QueryConfig } from 'pg';
import type { LeafFinder, LeafReader, StoredLeaf, TreeReader, TreeWriter } from '../ports/tree.ts';
import { damaged } from '../proof/damage.ts';

const LOCK = "SELECT pg_advisory_xact_lock(hashtext('gigvault.audit.tree'))";

const SIZE = 'SELECT leaf_index + 1 AS size FROM leaf ORDER BY leaf_index DESC LIMIT 1';

// LATERAL with LIMIT keeps this at one index look-up for each hash, whatever the planner believes of the array's length.
const HASHES = `
  SELECT found.hash FROM unnest($1::smallint[], $2::bigint[]) WITH ORDINALITY AS want (level, index, n)
  LEFT JOIN LATERAL (
    (SELECT leaf_hash AS hash FROM leaf WHERE want.level = 0 AND leaf_index = want.index LIMIT 1)
    UNION ALL
    (SELECT hash FROM node WHERE node.level = want.level AND node.index = want.index LIMIT 1)
  ) AS found ON true
  ORDER BY want.n`;

const END = `
  SELECT COALESCE((${SIZE}), 0) AS size,
    COALESCE((SELECT tree_size FROM checkpoint ORDER BY tree_size DESC LIMIT 1), 0) AS signed_size,
    EXISTS (SELECT FROM leaf WHERE producer = $1 AND position = $2) AS holds`;

const APPEND = `
  WITH leaves AS (
    INSERT INTO leaf (leaf_index, producer, position, leaf, leaf_hash)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bytea[], $5::bytea[])
  )
  INSERT INTO node (level, index, hash) SELECT * FROM unnest($6::smallint[], $7::bigint[], $8::bytea[])`;

const LEAVES = `
  SELECT leaf_index, producer, position, leaf, leaf_hash FROM leaf WHERE leaf_index >= $1 ORDER BY leaf_index LIMIT $2`;

const INDEX_OF = 'SELECT leaf_index FROM leaf WHERE producer = $1 AND position = $2';

/** The committed tree. */
export function pgTree(pool: Pool): TreeReader & LeafReader {
  return {
    ...reader(pool),
    async leaves(start, limit) {
      const { rows } = await query<LeafRow>(pool, {
        name: 'audit_leaves',
        text: LEAVES,
        values: [start, limit],
      });
      return rows.map(toLeaf);
    },
  };
}

/** The tree inside the transaction of `client`. */
export function pgTreeWriter(client: ClientBase): TreeWriter {
  return {
    hashes: reader(client).hashes,
    async lock() {
      await query(client, { name: 'audit_lock', text: LOCK });
    },
    async end(producer, position) {
      const { rows } = await query<EndRow>(client, {
        name: 'audit_end',
        text: END,
        values: [producer, position],
      });
      const { size, signed_size, holds } = rows[0]!;
      return { size: Number(size), signedSize: Number(signed_size), holds };
    },
    async append(leaves, completed) {
      await insert(client, {
        name: 'audit_append',
        text: APPEND,
        values: [
          column.bigint(leaves.map(({ leafIndex }) => leafIndex)),
          column.text(leaves.map(({ producer }) => producer)),
          column.bigint(leaves.map(({ position }) => position)),
          column.bytea(leaves.map(({ leaf }) => leaf)),
          column.bytea(leaves.map(({ leafHash }) => leafHash)),
          column.smallint(completed.map(({ level }) => level)),
          column.bigint(completed.map(({ index }) => index)),
          column.bytea(completed.map(({ hash }) => hash)),
        ],
      });
    },
  };
}

/** There is one writer, so a row that stands in the way was put there by nobody who may. */
async function insert(client: ClientBase, statement: QueryConfig): Promise<void> {
  try {
    await query(client, statement);
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    const { detail } = error as { detail?: string };
    throw damaged(`what is to be appended is there already. ${detail ?? ''}`.trim(), error);
  }
}

function reader(client: Pool | ClientBase): TreeReader & LeafFinder {
  return {
    async size() {
      const { rows } = await query<{ size: number }>(client, { name: 'audit_size', text: SIZE });
      const [row] = rows;
      return Number(row?.size ?? 0);
    },
    async hashes(ids) {
      if (ids.length === 0) return [];
      const columns = [ids.map(({ level }) => level), ids.map(({ index }) => index)];
      const { rows } = await query<{ hash: Buffer | null }>(client, {
        name: 'audit_hashes',
        text: HASHES,
        values: columns,
      });
      return rows.map(({ hash }, i) => hash ?? missing(ids[i]!));
    },
    async indexOf(producer, position) {
      const { rows } = await query<LeafRow>(client, {
        name: 'audit_index_of',
        text: INDEX_OF,
        values: [producer, position],
      });
      const [row] = rows;
      return row && Number(row.leaf_index);
    },
  };
}

interface EndRow {
  readonly size: number;
  readonly signed_size: number;
  readonly holds: boolean;
}

interface LeafRow {
  readonly leaf_index: number;
  readonly producer: string;
  readonly position: number;
  readonly leaf: Buffer;
  readonly leaf_hash: Buffer;
}

function toLeaf(row: LeafRow): StoredLeaf {
  return {
    leafIndex: Number(row.leaf_index),
    producer: row.producer,
    position: Number(row.position),
    leaf: row.leaf,
    leafHash: row.leaf_hash,
  };
}

function missing({ level, index }: NodeId): never {
  throw damaged(`the hash ${index} of level ${level} is missing`);
}
