import type { EventLog } from '@gigvault/database/event-log';
import { query } from '@gigvault/database/query';
import { transaction } from '@gigvault/database/transaction';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Pool } from 'pg';
import type { IssuerPlace, IssuerRecord, IssuerState, IssuerStore } from '../ports/issuer-store.ts';

const COLUMNS =
  'issuer_id, certificate, chain, key_id, crl_shards, ocsp_url, crl_base_url, issuer_url, public, created_at, generation';

/** An issuer that a version from before has stored is a line of its own. */
const LINE = 'coalesce(line, issuer_id) AS line';

/** Issuers in PostgreSQL. */
export function createPgIssuerStore(pool: Pool, eventLog: EventLog): IssuerStore {
  return {
    async find(issuerId) {
      const { rows } = await query<IssuerRow>(pool, {
        text: `SELECT ${COLUMNS}, ${LINE} FROM issuer WHERE issuer_id = $1`,
        values: [issuerId],
      });
      return rows[0] && toRecord(rows[0]);
    },
    async list() {
      const { rows } = await query<IssuerRow>(
        pool,
        `SELECT ${COLUMNS}, ${LINE} FROM issuer ORDER BY issuer_id`,
      );
      return rows.map(toRecord);
    },
    async places() {
      const { rows } = await query<PlaceRow>(pool, {
        name: 'ca.issuer-places',
        text: `SELECT issuer_id, ${LINE}, generation, state, successor_begun FROM issuer ORDER BY issuer_id`,
      });
      return rows.map(toPlace);
    },
    create: (issuer, caKeys, event) =>
      durableStep('ca.issuer', () =>
        transaction(pool, async (client) => {
          const { rowCount } = await client.query(
            `INSERT INTO issuer (${COLUMNS}, line, state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
               CASE $11::integer WHEN 1 THEN 'current' ELSE 'prepared' END)
             ON CONFLICT DO NOTHING`,
            valuesOf(issuer),
          );
          if (rowCount === 0) return false;
          await client.query(
            `INSERT INTO blocked_key (spki_sha256, reason, created_at)
             SELECT spki_sha256, 'caKey', $2 FROM unnest($1::text[]) AS k(spki_sha256) ON CONFLICT DO NOTHING`,
            [caKeys, issuer.createdAt],
          );
          await eventLog.append(client, [event]);
          return true;
        }),
      ),
  };
}

interface PlaceRow {
  issuer_id: string;
  line: string;
  generation: number;
  state: IssuerState;
  successor_begun: boolean;
}

interface IssuerRow extends Omit<PlaceRow, 'state' | 'successor_begun'> {
  certificate: Buffer;
  chain: Buffer[];
  key_id: string;
  crl_shards: number;
  ocsp_url: string;
  crl_base_url: string;
  issuer_url: string;
  public: boolean;
  created_at: string;
}

function valuesOf(issuer: IssuerRecord): unknown[] {
  return [
    issuer.issuerId,
    issuer.certificate,
    issuer.chain,
    issuer.keyId,
    issuer.crlShards,
    issuer.ocspUrl,
    issuer.crlBaseUrl,
    issuer.issuerUrl,
    issuer.public,
    issuer.createdAt,
    issuer.generation,
    issuer.line,
  ];
}

function toRecord(row: IssuerRow): IssuerRecord {
  return {
    issuerId: row.issuer_id,
    line: row.line,
    generation: row.generation,
    certificate: row.certificate,
    chain: row.chain,
    keyId: row.key_id,
    crlShards: row.crl_shards,
    ocspUrl: row.ocsp_url,
    crlBaseUrl: row.crl_base_url,
    issuerUrl: row.issuer_url,
    public: row.public,
    createdAt: Number(row.created_at),
  };
}

function toPlace({ issuer_id, line, generation, state, successor_begun }: PlaceRow): IssuerPlace {
  return { issuerId: issuer_id, line, generation, state, successorBegun: successor_begun };
}
