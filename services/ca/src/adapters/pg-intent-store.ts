import { type BatchResult, createBatcher } from '@gigvault/database/batcher';
import { isUniqueViolation } from '@gigvault/database/database-error';
import type { EventLog } from '@gigvault/database/event-log';
import { ofThisRequest } from '@gigvault/database/new-event';
import { query } from '@gigvault/database/query';
import { transaction } from '@gigvault/database/transaction';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import type { Pool, PoolClient } from 'pg';
import type { CaEvent } from '../ports/event.ts';
import type { Intent, IntentStore, OpenOutcome, RequestState } from '../ports/intent-store.ts';
import {
  COMPLETE_INTENTS,
  FIND_BY_REQUEST,
  INTENT_COLUMNS,
  OPEN_INTENTS,
  OPENED_INTENTS,
} from './intent-sql.ts';

/** What the store needs. */
export interface PgIntentStoreOptions {
  readonly pool: Pool;
  readonly eventLog: EventLog;
  readonly clock: Clock;
  /** The most items of one transaction, and the most that wait; more are refused as UNAVAILABLE. */
  readonly batch: { readonly maxItems: number; readonly maxQueue: number };
}

interface Opening {
  readonly intent: Intent;
  readonly event: CaEvent;
}

interface Completion extends Opening {
  readonly certificate: Buffer;
}

/** Intents and certificates in PostgreSQL. `open` and `complete` share transactions under load. */
export function createPgIntentStore(options: PgIntentStoreOptions): IntentStore {
  const { pool, eventLog, batch } = options;

  const opening = createBatcher<Opening, OpenOutcome>({
    name: 'ca.intent',
    ...batch,
    run: (items) => durableStep('ca.intent', () => openIntents(options, items)),
  });
  const completing = createBatcher<Completion, boolean>({
    name: 'ca.certificate',
    ...batch,
    run: (items) => durableStep('ca.certificate', () => completeIntents(options, items)),
  });

  return {
    async open(intent, event) {
      try {
        return await readBack(() => opening.submit({ intent, event: ofThisRequest(event) }));
      } catch (error) {
        if (isUniqueViolation(error, 'serial_unique')) return 'serial-taken';
        throw error;
      }
    },
    complete: (intent, certificate, event) =>
      readBack(() => completing.submit({ intent, certificate, event: ofThisRequest(event) })),
    abandon: (intent, revocation, event) =>
      durableStep('ca.abandonment', () =>
        transaction(pool, (client) => abandonIntent(client, eventLog, intent, revocation, event)),
      ),
    async findByRequest(requestId) {
      const { rows } = await query<IntentRow & { certificate: Buffer | null; status: string }>(
        pool,
        {
          name: 'ca.find-by-request',
          text: FIND_BY_REQUEST,
          values: [requestId],
        },
      );
      return rows[0] && toState(rows[0]);
    },
    async isKeyBlocked(spkiSha256) {
      const text = 'SELECT FROM blocked_key WHERE spki_sha256 = $1';
      return (
        (await query(pool, { name: 'ca.key-blocked', text, values: [spkiSha256] })).rowCount === 1
      );
    },
    async listOpen(createdBefore, limit) {
      const { rows } = await query<IntentRow>(pool, {
        name: 'ca.list-open-intents',
        text: `SELECT ${INTENT_COLUMNS} FROM intent
               WHERE status = 'open' AND created_at <= $1 ORDER BY created_at LIMIT $2`,
        values: [createdBefore, limit],
      });
      return rows.map(toIntent);
    },
  };
}

async function openIntents(
  { pool, eventLog }: PgIntentStoreOptions,
  items: readonly Opening[],
): Promise<BatchResult<OpenOutcome>[]> {
  // Two processes that take the same requests in the same order cannot deadlock.
  const ordered = items.toSorted((a, b) => (a.intent.requestId < b.intent.requestId ? -1 : 1));
  const rows = await eventLog.change<{ intent_id: string; outcome: OpenOutcome }>({
    name: 'ca.open-intents',
    expressions: OPEN_INTENTS,
    values: columnsOf(ordered.map((item) => item.intent)),
    returning: OPENED_INTENTS,
    events: items.map(({ intent, event }) => ({ key: intent.intentId, event })),
  });
  const outcomes = new Map(rows.map((row) => [row.intent_id, row.outcome]));
  const refused = items.filter((item) => !outcomes.has(item.intent.intentId));
  // The answer to an earlier attempt may have been lost: an intent of ours that is there already is open.
  for (const intentId of await ownIntents(pool, refused)) outcomes.set(intentId, 'opened');
  return items.map((item) => ({
    ok: true,
    value: outcomes.get(item.intent.intentId) ?? 'request-taken',
  }));
}

async function ownIntents(pool: Pool, items: readonly Opening[]): Promise<string[]> {
  if (items.length === 0) return [];
  const { rows } = await query<{ intent_id: string }>(pool, {
    name: 'ca.own-intents',
    text: `SELECT intent_id FROM intent WHERE intent_id = ANY($1::uuid[]) AND status = 'open'`,
    values: [items.map((item) => item.intent.intentId)],
  });
  return rows.map((row) => row.intent_id);
}

async function completeIntents(
  { pool, eventLog, clock }: PgIntentStoreOptions,
  items: readonly Completion[],
): Promise<BatchResult<boolean>[]> {
  const rows = await eventLog.change<{ intent_id: string }>({
    name: 'ca.complete-intents',
    expressions: COMPLETE_INTENTS,
    values: [
      items.map(({ intent }) => intent.intentId),
      items.map(({ certificate }) => certificate),
      clock.now(),
    ],
    returning: 'SELECT intent_id FROM stored',
    events: items.map(({ intent, event }) => ({ key: intent.intentId, event })),
  });
  const completed = new Set(rows.map((row) => row.intent_id));
  const lost = items.filter((item) => !completed.has(item.intent.intentId));
  const stored = await storedBefore(pool, lost);
  return items.map(({ intent }) => ({
    ok: true,
    value: completed.has(intent.intentId) || stored.has(intent.intentId),
  }));
}

/** Those whose very certificate is stored: by another reconciler, or by a COMMIT whose answer was lost. */
async function storedBefore(pool: Pool, items: readonly Completion[]): Promise<Set<string>> {
  if (items.length === 0) return new Set();
  const { rows } = await query<{ intent_id: string; certificate: Buffer | null }>(pool, {
    name: 'ca.stored-certificates',
    text: `SELECT i.intent_id, c.certificate FROM intent i JOIN certificate c USING (serial_number, issuer_id)
           WHERE i.intent_id = ANY($1::uuid[]) AND i.status = 'issued'`,
    values: [items.map((item) => item.intent.intentId)],
  });
  const bytes = new Map(rows.map((row) => [row.intent_id, row.certificate]));
  const same = items.filter((item) => bytes.get(item.intent.intentId)?.equals(item.certificate));
  return new Set(same.map((item) => item.intent.intentId));
}

async function abandonIntent(
  client: PoolClient,
  eventLog: EventLog,
  intent: Intent,
  revocation: { at: number; reasonCode: number },
  event: CaEvent,
): Promise<boolean> {
  const { rows } = await client.query({
    name: 'ca.abandon-intent',
    text: `WITH closed AS (
             UPDATE intent SET status = 'tombstoned', closed_at = $2
             WHERE intent_id = $1 AND status = 'open' RETURNING *
           )
           INSERT INTO certificate (serial_number, issuer_id, certificate, request_id, intent_id, common_name, names,
             profile, requester, tenant_id, protocol, not_before, not_after, spki_sha256, crl_shard, status,
             issued_at, revoked_at, reason_code)
           SELECT serial_number, issuer_id, NULL, request_id, intent_id, common_name, names, profile, requester,
             tenant_id, protocol, not_before, not_after, spki_sha256, crl_shard, 'revoked', $2, $2, $3 FROM closed
           RETURNING intent_id`,
    values: [intent.intentId, revocation.at, revocation.reasonCode],
  });
  if (rows.length === 0) return false;
  await eventLog.append(client, [event]);
  return true;
}

/** One array for each column, in the order of OPEN_INTENTS. */
function columnsOf(intents: readonly Intent[]): unknown[] {
  const column = <T>(read: (intent: Intent) => T): T[] => intents.map(read);
  return [
    column((i) => i.intentId),
    column((i) => i.requestId),
    column((i) => i.issuerId),
    column((i) => i.serialNumber),
    column((i) => i.profile),
    column((i) => i.profileHash),
    column((i) => i.tbs),
    column((i) => i.commonName),
    column((i) => i.names.join('\n')),
    column((i) => i.requester),
    column((i) => i.tenantId),
    column((i) => i.protocol),
    column((i) => i.notBefore),
    column((i) => i.notAfter),
    column((i) => i.spkiSha256),
    column((i) => i.crlShard),
    column((i) => i.createdAt),
  ];
}

/** A row as pg gives it: bigint columns are strings. */
interface IntentRow {
  intent_id: string;
  request_id: string;
  issuer_id: string;
  serial_number: string;
  profile: string;
  profile_hash: string;
  tbs: Buffer;
  common_name: string;
  names: string[];
  requester: string;
  tenant_id: string;
  protocol: string;
  not_before: string;
  not_after: string;
  spki_sha256: string;
  crl_shard: number;
  created_at: string;
}

function toIntent(row: IntentRow): Intent {
  return {
    intentId: row.intent_id,
    requestId: row.request_id,
    issuerId: row.issuer_id,
    serialNumber: row.serial_number,
    profile: row.profile,
    profileHash: row.profile_hash,
    tbs: row.tbs,
    commonName: row.common_name,
    names: row.names,
    requester: row.requester,
    tenantId: row.tenant_id,
    protocol: row.protocol,
    notBefore: Number(row.not_before),
    notAfter: Number(row.not_after),
    spkiSha256: row.spki_sha256,
    crlShard: row.crl_shard,
    createdAt: Number(row.created_at),
  };
}

function toState(row: IntentRow & { certificate: Buffer | null; status: string }): RequestState {
  const intent = toIntent(row);
  if (row.status === 'open') return { status: 'open', intent };
  if (row.certificate === null)
    throw new Error(`intent ${row.intent_id} is issued without a certificate`);
  return { status: 'issued', intent, certificate: row.certificate };
}

/** After a COMMIT whose answer was lost, asks again: both steps answer the second time what is true. */
function readBack<T>(submit: () => Promise<T>): Promise<T> {
  return submit().catch((error) => {
    const unknown = error instanceof GigvaultError && error.details.outcome === 'unknown';
    return unknown ? submit() : Promise.reject(error);
  });
}
