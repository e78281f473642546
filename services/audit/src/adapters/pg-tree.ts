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

const SIGNED = 'SELECT tree_size AS size FROM checkpoint ORDER BY tree_size DESC LIMIT 1';

const INSERT_LEAVES = `
  INSERT INTO leaf (leaf_index, producer, position, leaf, leaf_hash)
  SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bytea[], $5::bytea[])`;

const INSERT_NODES = `
  INSERT INTO node (level, index, hash) SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::bytea[])`;

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
    ...reader(client),
    async lock() {
      await query(client, { name: 'audit_lock', text: LOCK });
    },
    async signedSize() {
      const { rows } = await query<{ size: number }>(client, {
        name: 'audit_signed',
        text: SIGNED,
      });
      return Number(rows[0]?.size ?? 0);
    },
    async append(leaves, completed) {
      await insert(client, {
        name: 'audit_insert_leaves',
        text: INSERT_LEAVES,
        values: [
          column.bigint(leaves.map(({ leafIndex }) => leafIndex)),
          column.text(leaves.map(({ producer }) => producer)),
          column.bigint(leaves.map(({ position }) => position)),
          column.bytea(leaves.map(({ leaf }) => leaf)),
          column.bytea(leaves.map(({ leafHash }) => leafHash)),
        ],
      });
      if (completed.length === 0) return;
      await insert(client, {
        name: 'audit_insert_nodes',
        text: INSERT_NODES,
        values: [
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
