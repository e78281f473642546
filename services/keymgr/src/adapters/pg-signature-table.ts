import { type BatchResult, createBatcher } from '@gigvault/database/batcher';
import { column } from '@gigvault/database/columns';
import { isUniqueViolation } from '@gigvault/database/database-error';
import type { EventLog } from '@gigvault/database/event-log';
import { transaction } from '@gigvault/database/transaction';
import type { Clock } from '@gigvault/time/clock';
import type { Pool, PoolClient } from 'pg';
import type { KeyEvent } from '../ports/key-event.ts';
import type { IntentRecord, NewSignature, SignatureTable } from '../ports/signature-table.ts';

/** Keeps one batch's events below 64 KiB. */
const MAX_BATCH = 256;
const MAX_QUEUE = 10_000;

interface SignatureRow {
  readonly intent_id: string;
  readonly key_id: string | null;
  readonly tbs_sha256: Buffer | null;
  readonly signature: Buffer | null;
}

/** The `signature` table. Signatures that arrive together share one transaction; its primary key decides every race. */
export function pgSignatureTable(pool: Pool, eventLog: EventLog, clock: Clock): SignatureTable {
  const batcher = createBatcher<NewSignature, IntentRecord>({
    name: 'keymgr.signature',
    maxItems: MAX_BATCH,
    maxQueue: MAX_QUEUE,
    run: (items) => record(pool, eventLog, clock, items),
  });
  return {
    record: (signature) => batcher.submit(signature),
    close: (intentId, caller) =>
      transaction(pool, async (client) => {
        const { rowCount } = await client.query({
          name: 'signature-close',
          text: `INSERT INTO signature (intent_id, tombstoned, created_at) VALUES ($1, true, $2)
                 ON CONFLICT (intent_id) DO NOTHING`,
          values: [intentId, new Date(clock.now())],
        });
        if (rowCount === 0) return (await findRecords(client, [intentId])).get(intentId)!;
        const actor = `service:${caller}`;
        await eventLog.append(client, [
          { type: 'signing.closed', actor, subject: intentId, data: {} },
        ]);
        return { status: 'closed' };
      }),
  };
}

/** Nearly always every intent is free, and one statement does; when one is not, nothing happened, and the careful way finds out. */
async function record(
  pool: Pool,
  eventLog: EventLog,
  clock: Clock,
  items: readonly NewSignature[],
): Promise<BatchResult<IntentRecord>[]> {
  try {
    await eventLog.change({
      name: 'signature-record',
      expressions: `WITH recorded AS (${INSERT} RETURNING intent_id), told AS (SELECT '' AS key)`,
      values: columnsOf(items, clock.now()),
      returning: 'SELECT count(*) FROM recorded',
      events: usedEvents(items).map((event) => ({ key: '', event })),
    });
    return items.map((item) => ({ ok: true, value: { ...item, status: 'signed' } }));
  } catch (error) {
    if (!isUniqueViolation(error, 'signature_pkey')) throw error;
    return transaction(pool, (client) => recordAll(client, eventLog, clock, items));
  }
}

// Sorted, so that two processes that record the same intents wait for each other in one order only.
const INSERT = `INSERT INTO signature (intent_id, key_id, tbs_sha256, signature, tombstoned, created_at)
  SELECT i, k, t, s, false, $5::timestamptz
  FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[]) AS u(i, k, t, s) ORDER BY i`;

function columnsOf(items: readonly NewSignature[], now: number): unknown[] {
  return [
    column.uuid(items.map((item) => item.intentId)),
    column.text(items.map((item) => item.keyId)),
    column.bytea(items.map((item) => item.tbsSha256)),
    column.bytea(items.map((item) => item.signature)),
    new Date(now),
  ];
}

async function recordAll(
  client: PoolClient,
  eventLog: EventLog,
  clock: Clock,
  items: readonly NewSignature[],
): Promise<BatchResult<IntentRecord>[]> {
  const free = await insertAll(client, items, clock.now());
  // delete() is true once: of two items under one intent only the first has won.
  const won = items.filter((item) => free.delete(item.intentId));
  const lost = items.filter((item) => !won.includes(item)).map((item) => item.intentId);
  const earlier = lost.length === 0 ? undefined : await findRecords(client, lost);
  if (won.length > 0) await eventLog.append(client, usedEvents(won));
  return items.map((item) => ({
    ok: true,
    value: earlier?.get(item.intentId) ?? { ...item, status: 'signed' },
  }));
}

async function insertAll(
  client: PoolClient,
  items: readonly NewSignature[],
  now: number,
): Promise<Set<string>> {
  const { rows } = await client.query<{ intent_id: string }>({
    name: 'signature-insert',
    text: `${INSERT} ON CONFLICT (intent_id) DO NOTHING RETURNING intent_id`,
    values: columnsOf(items, now),
  });
  return new Set(rows.map((row) => row.intent_id));
}

/** A statement of its own, after the insert: it sees what the insert had to wait for. */
async function findRecords(
  client: PoolClient,
  intentIds: readonly string[],
): Promise<Map<string, IntentRecord>> {
  const { rows } = await client.query<SignatureRow>({
    name: 'signature-find',
    text: 'SELECT intent_id, key_id, tbs_sha256, signature FROM signature WHERE intent_id = ANY($1::uuid[])',
    values: [intentIds],
  });
  return new Map(rows.map((row) => [row.intent_id, toRecord(row)]));
}

function toRecord({ key_id: keyId, tbs_sha256: tbsSha256, signature }: SignatureRow): IntentRecord {
  if (keyId === null || tbsSha256 === null || signature === null) return { status: 'closed' };
  return { status: 'signed', keyId, tbsSha256, signature };
}

/** One event for each key, purpose and caller of the batch, naming every signature. */
function usedEvents(items: readonly NewSignature[]): KeyEvent[] {
  const groups = Map.groupBy(items, (item) => `${item.keyId}/${item.purpose}/${item.caller}`);
  return [...groups.values()].map((group) => {
    const { keyId, purpose, caller } = group[0]!;
    const signatures = group.map(({ intentId, tbsSha256 }) => ({
      intentId,
      tbsSha256: tbsSha256.toString('hex'),
    }));
    const data = { purpose, caller, count: group.length, signatures };
    return { type: 'key.used', actor: `service:${caller}`, subject: keyId, data };
  });
}
