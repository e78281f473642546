import { type BatchResult, createBatcher } from '@gigvault/database/batcher';
import { column } from '@gigvault/database/columns';
import { isUniqueViolation } from '@gigvault/database/database-error';
import type { EventLog } from '@gigvault/database/event-log';
import type { LiveHolder } from '@gigvault/database/live-holder';
import { ofThisRequest } from '@gigvault/database/new-event';
import { query } from '@gigvault/database/query';
import { transaction } from '@gigvault/database/transaction';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import type { Pool, PoolClient } from 'pg';
import type { CaEvent } from '../ports/event.ts';
import type { Intent, IntentStore, OpenOutcome, RequestState } from '../ports/intent-store.ts';
import { CHANGE_INTENTS, CHANGED_INTENTS, FIND_BY_REQUEST, LIST_OPEN } from './intent-sql.ts';

/** What the store needs. */
export interface PgIntentStoreOptions {
  readonly pool: Pool;
  readonly eventLog: EventLog;
  readonly clock: Clock;
  /** Who opens intents here, and lives. */
  readonly holder: Pick<LiveHolder, 'id'>;
  /** The most items of one transaction, and the most openings that wait; more are refused as UNAVAILABLE. A completion is not refused: its signature exists. */
  readonly batch: { readonly maxItems: number; readonly maxQueue: number };
}

/** A durable step of one issuance, for a transaction that it shares with others'. */
interface Step {
  readonly intent: Intent;
  readonly event: CaEvent;
  /** Of a step that completes the intent; a step without one opens it. */
  readonly certificate?: Buffer;
}

/** What became of a step: `stored` and `not-open` are of a completion. */
type StepOutcome = OpenOutcome | 'stored' | 'not-open';

/**
 * Intents and certificates in PostgreSQL. Under load the intents of some requests and the certificates of others are one transaction: each
 * writes events, so each would wait for the other's commit at the head of the event log anyway (docs/adr/0013-steps-share-a-transaction.md).
 */
export function createPgIntentStore(options: PgIntentStoreOptions): IntentStore {
  const { pool, eventLog, holder, batch } = options;

  const steps = createBatcher<Step, StepOutcome>({
    name: 'ca.issuance',
    ...batch,
    isBounded: isOpening,
    run: (items) => takeSteps(options, items),
  });
  const blocked = createBatcher<string, boolean>({
    name: 'ca.key-blocked',
    ...batch,
    run: async (keys) => {
      const found = await blockedOf(pool, keys);
      return keys.map((key) => ({ ok: true, value: found.has(key) }));
    },
  });
  const take = (step: Step) =>
    readBack(() => steps.submit({ ...step, event: ofThisRequest(step.event) }));

  return {
    async open(intent, event) {
      try {
        return (await take({ intent, event })) as OpenOutcome;
      } catch (error) {
        if (isUniqueViolation(error, 'serial_unique')) return 'serial-taken';
        throw error;
      }
    },
    complete: async (intent, certificate, event) =>
      (await take({ intent, certificate, event })) === 'stored',
    abandon: (intent, revocation, event) =>
      durableStep('ca.abandonment', () =>
        transaction(pool, (client) => abandonIntent(client, eventLog, intent, revocation, event)),
      ),
    async findByRequest(requestId) {
      const { rows } = await query<StateRow>(pool, {
        name: 'ca.find-by-request',
        text: FIND_BY_REQUEST,
        values: [requestId, holder.id()],
      });
      return rows[0] && toState(rows[0]);
    },
    isKeyBlocked: (spkiSha256) => blocked.submit(spkiSha256),
    async listOpen({ createdBefore, createdAfter, heldBefore }, after, limit) {
      const { createdAt, intentId } = after ?? BEFORE_ALL;
      const { rows } = await query<IntentRow>(pool, {
        name: 'ca.list-open-intents',
        text: LIST_OPEN,
        values: [createdBefore, holder.id(), heldBefore, createdAt, intentId, limit, createdAfter],
      });
      return rows.map(toIntent);
    },
  };
}

const BEFORE_ALL = { createdAt: 0, intentId: '00000000-0000-0000-0000-000000000000' };

async function blockedOf(pool: Pool, keys: readonly string[]): Promise<ReadonlySet<string>> {
  const { rows } = await query<{ spki_sha256: string }>(pool, {
    name: 'ca.key-blocked',
    text: 'SELECT spki_sha256 FROM blocked_key WHERE spki_sha256 = ANY ($1::text[])',
    values: [keys],
  });
  return new Set(rows.map((row) => row.spki_sha256));
}

type Completion = Step & { readonly certificate: Buffer };

async function takeSteps(
  options: PgIntentStoreOptions,
  items: readonly Step[],
): Promise<BatchResult<StepOutcome>[]> {
  const taken = firstOfEach(items);
  const openings = taken.filter(isOpening);
  const completions = taken.filter(isCompletion);
  const change = () => changeIntents(options, openings, completions);
  const complete = () =>
    completions.length > 0 ? durableStep('ca.certificate', change) : change();
  const changed = await (openings.length > 0 ? durableStep('ca.intent', complete) : complete());
  const outcomes = new Map<Step, StepOutcome>();
  for (const step of taken) {
    const outcome = changed.get(step.intent.intentId);
    if (outcome) outcomes.set(step, outcome);
  }
  // Who finds it done already was cut off from the answer to an earlier attempt, or came second.
  const missing = items.filter((step) => !outcomes.has(step));
  await addOwnIntents(options.pool, missing.filter(isOpening), outcomes);
  await addStoredBefore(options.pool, missing.filter(isCompletion), outcomes);
  return items.map((step) => ({
    ok: true,
    value: outcomes.get(step) ?? (isCompletion(step) ? 'not-open' : 'request-taken'),
  }));
}

/** Events go by the intent, so a change takes each of its steps once; of two that do the same the second finds it done. */
function firstOfEach(items: readonly Step[]): Step[] {
  const firsts = new Map<string, Step>();
  for (const step of items) {
    const key = `${step.intent.intentId}/${isCompletion(step)}`;
    if (!firsts.has(key)) firsts.set(key, step);
  }
  return [...firsts.values()];
}

function isCompletion(step: Step): step is Completion {
  return step.certificate !== undefined;
}

function isOpening(step: Step): boolean {
  return !isCompletion(step);
}

/** The outcomes by intent id; nothing for an intent that was not changed. */
async function changeIntents(
  { eventLog, clock, holder }: PgIntentStoreOptions,
  openings: readonly Step[],
  completions: readonly Completion[],
): Promise<Map<string, StepOutcome>> {
  // Two processes that take the same requests in the same order cannot deadlock.
  const ordered = openings.toSorted((a, b) => (a.intent.requestId < b.intent.requestId ? -1 : 1));
  const rows = await eventLog.change<{ intent_id: string; outcome: StepOutcome }>({
    name: 'ca.change-intents',
    expressions: CHANGE_INTENTS,
    values: [
      ...columnsOf(ordered.map((step) => step.intent)),
      column.uuid(completions.map((step) => step.intent.intentId)),
      column.bytea(completions.map((step) => step.certificate)),
      clock.now(),
      holder.id(),
    ],
    returning: CHANGED_INTENTS,
    events: [...ordered, ...completions].map(({ intent, event }) => ({
      key: intent.intentId,
      event,
    })),
  });
  return new Map(rows.map((row) => [row.intent_id, row.outcome]));
}

/** An intent of ours that is there already is open. */
async function addOwnIntents(
  pool: Pool,
  steps: readonly Step[],
  outcomes: Map<Step, StepOutcome>,
): Promise<void> {
  if (steps.length === 0) return;
  const { rows } = await query<{ intent_id: string }>(pool, {
    name: 'ca.own-intents',
    text: `SELECT intent_id FROM intent WHERE intent_id = ANY($1::uuid[]) AND status = 'open'`,
    values: [column.uuid(steps.map((step) => step.intent.intentId))],
  });
  const open = new Set(rows.map((row) => row.intent_id));
  for (const step of steps) if (open.has(step.intent.intentId)) outcomes.set(step, 'opened');
}

/** Those whose very certificate is stored: by another reconciler, or by a COMMIT whose answer was lost. */
async function addStoredBefore(
  pool: Pool,
  steps: readonly Completion[],
  outcomes: Map<Step, StepOutcome>,
): Promise<void> {
  if (steps.length === 0) return;
  const { rows } = await query<{ intent_id: string; certificate: Buffer | null }>(pool, {
    name: 'ca.stored-certificates',
    text: `SELECT i.intent_id, c.certificate FROM intent i JOIN certificate c USING (serial_number, issuer_id)
           WHERE i.intent_id = ANY($1::uuid[]) AND i.status = 'issued'`,
    values: [column.uuid(steps.map((step) => step.intent.intentId))],
  });
  const bytes = new Map(rows.map((row) => [row.intent_id, row.certificate]));
  for (const step of steps) {
    if (bytes.get(step.intent.intentId)?.equals(step.certificate)) outcomes.set(step, 'stored');
  }
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

/** One parameter for each column, in the order of CHANGE_INTENTS. */
function columnsOf(intents: readonly Intent[]): Buffer[] {
  return [
    column.uuid(intents.map((i) => i.intentId)),
    column.uuid(intents.map((i) => i.requestId)),
    column.text(intents.map((i) => i.issuerId)),
    column.text(intents.map((i) => i.serialNumber)),
    column.text(intents.map((i) => i.profile)),
    column.text(intents.map((i) => i.profileHash)),
    column.bytea(intents.map((i) => i.tbs)),
    column.text(intents.map((i) => i.commonName)),
    column.text(intents.map((i) => i.names.join('\n'))),
    column.text(intents.map((i) => i.requester)),
    column.text(intents.map((i) => i.tenantId)),
    column.text(intents.map((i) => i.protocol)),
    column.bigint(intents.map((i) => i.notBefore)),
    column.bigint(intents.map((i) => i.notAfter)),
    column.text(intents.map((i) => i.spkiSha256)),
    column.integer(intents.map((i) => i.crlShard)),
    column.bigint(intents.map((i) => i.createdAt)),
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

type StateRow = IntentRow & {
  readonly certificate: Buffer | null;
  readonly status: string;
  readonly held: boolean;
};

function toState(row: StateRow): RequestState {
  const intent = toIntent(row);
  if (row.status === 'open') return { status: 'open', intent, held: row.held };
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
