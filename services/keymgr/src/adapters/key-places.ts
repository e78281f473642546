import { query } from '@gigvault/database/query';
import { parseKeyHandle } from '@gigvault/keystore/key-store';
import type { Pool } from 'pg';
import type { TellingKey } from './backend-identity.ts';

/** A version of a key in a backend. */
export interface KeyPlace {
  readonly keyId: string;
  readonly handle: string;
  /** It has a public half. */
  readonly isPair: boolean;
}

/** Keys and all their versions: `v` the place, `k` the key. */
const PLACES = `(SELECT key_id, version, backend, handle, spki FROM key
                 UNION ALL SELECT key_id, version, backend, handle, spki FROM key_version) AS v
                JOIN key AS k USING (key_id)`;

/** What must be in this backend, by key and version. A key whose destruction has begun may be gone. */
export async function keysIn(pool: Pool, backend: string): Promise<readonly KeyPlace[]> {
  const { rows } = await query<KeyPlace>(pool, {
    text: `SELECT key_id AS "keyId", v.handle, v.spki IS NOT NULL AS "isPair" FROM ${PLACES}
           WHERE v.backend = $1 AND k.state <> 'destroyed' AND (k.destroy_at IS NULL OR k.restore_state IS NOT NULL)
           ORDER BY key_id, v.version`,
    values: [backend],
  });
  return rows;
}

/** Enough to see every CA's, and a bound for a token that is asked for each of them. */
const MOST_TELLING = 50;

/**
 * Keys whose current version must be in this backend, those of services first. One that waits for its destruction is not among them: who has lost a key for good
 * deletes it.
 */
export async function tellingKeys(pool: Pool, backend: string): Promise<readonly TellingKey[]> {
  const { rows } = await query<{ keyId: string; handle: string; ofService: boolean }>(pool, {
    name: 'key-telling',
    text: `SELECT key_id AS "keyId", handle, purposes <> '{}' AS "ofService" FROM key
           WHERE backend = $1 AND destroy_at IS NULL AND state <> 'destroyed'
           ORDER BY backend, (purposes = '{}'), key_id LIMIT ${MOST_TELLING}`,
    values: [backend],
  });
  return rows.map((row) => ({ ...row, handle: parseKeyHandle(row.handle) }));
}

/** The backends that have keys beside these, each with one of its keys. */
export async function backendsBeside(
  pool: Pool,
  backends: readonly string[],
): Promise<readonly { readonly backend: string; readonly keyId: string }[]> {
  const { rows } = await query<{ backend: string; keyId: string }>(pool, {
    text: `SELECT v.backend, min(key_id) AS "keyId" FROM ${PLACES}
           WHERE v.backend <> ALL ($1::text[]) AND k.state <> 'destroyed' GROUP BY v.backend ORDER BY v.backend`,
    values: [backends],
  });
  return rows;
}

/** Those with which services sign. New keys of services are made in the backend of new keys, so another one never becomes one of these. */
export async function backendsOfServices(pool: Pool): Promise<ReadonlySet<string>> {
  const { rows } = await query<{ backend: string }>(
    pool,
    "SELECT DISTINCT backend FROM key WHERE purposes <> '{}' AND state <> 'destroyed'",
  );
  return new Set(rows.map(({ backend }) => backend));
}
