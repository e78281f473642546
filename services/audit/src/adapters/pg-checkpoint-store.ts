import { query } from '@gigvault/database/query';
import type { Pool } from 'pg';
import type { CheckpointStore, SignedCheckpoint } from '../ports/checkpoints.ts';

const NEWEST = `
  SELECT tree_size, root_hash, timestamp, note, public_key FROM checkpoint ORDER BY tree_size DESC LIMIT 1`;

const ADD = `
  INSERT INTO checkpoint (tree_size, root_hash, timestamp, note, public_key) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (tree_size) DO NOTHING`;

/** Tree heads in the table `checkpoint`. */
export function pgCheckpointStore(pool: Pool): CheckpointStore {
  return {
    async newest() {
      const { rows } = await query<Row>(pool, { name: 'audit_newest', text: NEWEST });
      return rows[0] && toCheckpoint(rows[0]);
    },
    async add({ treeSize, rootHash, timestamp, note, publicKey }) {
      const values = [treeSize, rootHash, timestamp, note, publicKey];
      await query(pool, { name: 'audit_add_checkpoint', text: ADD, values });
    },
  };
}

interface Row {
  readonly tree_size: number;
  readonly root_hash: Buffer;
  readonly timestamp: number;
  readonly note: string;
  readonly public_key: Buffer;
}

function toCheckpoint(row: Row): SignedCheckpoint {
  return {
    treeSize: Number(row.tree_size),
    rootHash: row.root_hash,
    timestamp: Number(row.timestamp),
    note: row.note,
    publicKey: row.public_key,
  };
}
