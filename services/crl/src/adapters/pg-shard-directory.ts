import { query } from '@gigvault/database/query';
import type { Pool } from 'pg';
import type { ShardState } from '../ports/shard.ts';
import type { PublishedCrl, ShardDirectory } from '../ports/shard-directory.ts';
import { readParts } from './pg-parts.ts';

interface ShardRow {
  readonly issuer_id: string;
  readonly crl_shard: number;
  readonly certificate: Buffer;
  readonly key_id: string;
  readonly crl_base_url: string;
  readonly ends_at: number | null;
  readonly changed_at: number | null;
  readonly published_number: number | null;
  readonly this_update: number;
  readonly next_update: number;
  readonly scheduled_update: number | null;
  readonly open: boolean;
  readonly open_since: number | null;
}

const LIST = {
  name: 'crl-list-shards',
  text: `SELECT s.issuer_id, s.crl_shard, i.certificate, i.key_id, i.crl_base_url, i.ends_at, s.changed_at, s.published_number,
                s.this_update, s.next_update, s.scheduled_update, o.intent_id IS NOT NULL AS open, o.this_update AS open_since
           FROM shard s
           JOIN issuer i ON i.issuer_id = s.issuer_id
           LEFT JOIN crl o ON o.issuer_id = s.issuer_id AND o.crl_shard = s.crl_shard AND o.status = 'intended'
          ORDER BY s.issuer_id, s.crl_shard`,
};

const PUBLISHED = {
  name: 'crl-read-published',
  text: `SELECT c.intent_id, c.crl_number, c.this_update, c.next_update, c.entry_count, c.octets
           FROM shard s
           JOIN crl c ON c.issuer_id = s.issuer_id AND c.crl_shard = s.crl_shard AND c.crl_number = s.published_number
          WHERE s.issuer_id = $1 AND s.crl_shard = $2`,
};

/** Shards from table `shard`. */
export function pgShardDirectory(pool: Pool): ShardDirectory {
  return {
    async list() {
      const { rows } = await query<ShardRow>(pool, LIST);
      return rows.map(toState);
    },
    async published({ issuerId, crlShard }) {
      const { rows } = await query<PublishedRow>(pool, {
        ...PUBLISHED,
        values: [issuerId, crlShard],
      });
      return rows[0] && toPublished(pool, rows[0]);
    },
  };
}

function toState(row: ShardRow): ShardState {
  return {
    issuerId: row.issuer_id,
    crlShard: row.crl_shard,
    issuerCertificate: row.certificate,
    keyId: row.key_id,
    crlBaseUrl: row.crl_base_url,
    endsAt: optional(row.ends_at),
    open: row.open,
    openSince: optional(row.open_since),
    changedAt: optional(row.changed_at),
    scheduledUpdate: optional(row.scheduled_update),
    published:
      row.published_number === null
        ? undefined
        : {
            crlNumber: Number(row.published_number),
            thisUpdate: Number(row.this_update),
            nextUpdate: Number(row.next_update),
          },
  };
}

interface PublishedRow {
  readonly intent_id: string;
  readonly crl_number: number;
  readonly this_update: number;
  readonly next_update: number;
  readonly entry_count: number;
  readonly octets: number;
}

function toPublished(pool: Pool, row: PublishedRow): PublishedCrl {
  return {
    crlNumber: Number(row.crl_number),
    thisUpdate: Number(row.this_update),
    nextUpdate: Number(row.next_update),
    entryCount: row.entry_count,
    octets: Number(row.octets),
    parts: () => readParts(pool, row.intent_id, 0),
  };
}

function optional(value: number | null): number | undefined {
  return value === null ? undefined : Number(value);
}
