import { query } from '@gigvault/database/query';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { NodeId } from '@gigvault/merkle/tree';
import type { ClientBase, Pool } from 'pg';
import type { LeafReader, StoredLeaf, TreeReader, TreeWriter } from '../ports/tree.ts';

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
    async indexOf(producer, position) {
      const { rows } = await query<LeafRow>(pool, {
        name: 'audit_index_of',
        text: INDEX_OF,
        values: [producer, position],
      });
      const [row] = rows;
      return row && Number(row.leaf_index);
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
    async append(leaves, completed) {
      await query(client, {
        name: 'audit_insert_leaves',
        text: INSERT_LEAVES,
        values: [
          leaves.map(({ leafIndex }) => leafIndex),
          leaves.map(({ producer }) => producer),
          leaves.map(({ position }) => position),
          leaves.map(({ leaf }) => leaf),
          leaves.map(({ leafHash }) => leafHash),
        ],
      });
      if (completed.length === 0) return;
      await query(client, {
        name: 'audit_insert_nodes',
        text: INSERT_NODES,
        values: [
          completed.map(({ level }) => level),
          completed.map(({ index }) => index),
          completed.map(({ hash }) => hash),
        ],
      });
    },
  };
}

function reader(client: Pool | ClientBase): TreeReader {
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
  throw new GigvaultError(
    'INTERNAL',
    `The audit log was changed: the hash ${index} of level ${level} is missing.`,
  );
}
