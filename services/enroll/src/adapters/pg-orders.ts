import type { EventLog } from '@gigvault/database/event-log';
import { jsonOctets } from '@gigvault/database/json-octets';
import { createLookup, shareStatement } from '@gigvault/database/lookup';
import { type NewEvent, ofThisRequest } from '@gigvault/database/new-event';
import { query } from '@gigvault/database/query';
import { executeOnce } from '@gigvault/database/transaction';
import type { ErrorRecord } from '@gigvault/errors/gigvault-error';
import type { Pool } from 'pg';
import {
  type Identifier,
  LONGEST_PAUSE,
  type Order,
  type OrderLoad,
  type OrderStatus,
  type OrderStep,
  type OrderSweep,
  type Orders,
  type StepTarget,
} from '../ports/orders.ts';
import { orderCreated, orderStepped } from './order-event.ts';

const COLUMNS = `order_id, account_id, status, identifiers, authorization_ids, profile, profile_hash, request_id,
  not_before, not_after, created_at, expires_at, certification_request, serial_number, certificate, chain, error`;

interface Row {
  readonly order_id: string;
  readonly account_id: string;
  readonly status: OrderStatus;
  readonly identifiers: Identifier[];
  readonly authorization_ids: string[];
  readonly profile: string;
  readonly profile_hash: string;
  readonly request_id: string;
  readonly not_before: string | number;
  readonly not_after: string | number;
  readonly created_at: string | number;
  readonly expires_at: string | number;
  readonly certification_request: Buffer | null;
  readonly serial_number: string | null;
  readonly certificate: Buffer | null;
  readonly chain: Buffer[] | null;
  readonly error: ErrorRecord | null;
}

interface Statement {
  readonly name: string;
  readonly text: string;
  readonly values: unknown[];
}

const INSERT = `
  WITH made AS (
    INSERT INTO order_ (order_id, account_id, status, identifiers, authorization_ids, profile, profile_hash, request_id,
      not_before, not_after, created_at, expires_at)
    SELECT order_id, account_id, status, identifiers, authorization_ids, profile, profile_hash, request_id,
      not_before, not_after, created_at, expires_at
    FROM json_populate_recordset(NULL::order_, $1)
    RETURNING order_id
  ), told AS (
    SELECT order_id AS key FROM made
  )`;

/**
 * Of several steps of one order in a batch one is taken: `n` says which. That an order is ready is seen and not kept: a row is `pending` until
 * it is finalized, and one of an older version may be `ready`.
 */
const STEP = `
  WITH stepped AS (
    UPDATE order_ o SET status = CASE s.status WHEN 'ready' THEN o.status ELSE s.status END, resume_at = s.resume_at, error = s.error,
      certification_request = COALESCE(s.certification_request, o.certification_request),
      serial_number = s.serial_number, issuer_id = s.issuer_id, certificate = s.certificate, chain = s.chain
    FROM json_to_recordset($1) AS s (n int, step_of text, step_from text, status text, resume_at bigint, error jsonb,
      certification_request bytea, serial_number text, issuer_id text, certificate bytea, chain bytea[])
    WHERE o.order_id = s.step_of AND (o.status = s.step_from OR s.step_from = 'ready' AND o.status = 'pending')
    RETURNING s.n, o.*
  ), told AS (
    SELECT n::text AS key FROM stepped
  )`;

const STEPPED = `SELECT n, ${COLUMNS} FROM stepped`;

const FIND = `SELECT ${COLUMNS} FROM order_ WHERE order_id = ANY ($1)`;

const LIST = `
  SELECT ${COLUMNS} FROM order_ WHERE account_id = $1 AND status <> 'invalid'
  ORDER BY created_at DESC, order_id DESC LIMIT $2`;

const LIST_AFTER = `
  SELECT ${COLUMNS} FROM order_ WHERE account_id = $1 AND status <> 'invalid'
    AND (created_at, order_id) < (SELECT created_at, order_id FROM order_ WHERE order_id = $3 AND account_id = $1)
  ORDER BY created_at DESC, order_id DESC LIMIT $2`;

const LOAD = `
  SELECT count.open, newest.created_at
  FROM unnest($1::text[], $2::int[], $3::int[]) WITH ORDINALITY AS asked (account_id, most, nth, n)
  CROSS JOIN LATERAL (
    SELECT count(*)::int AS open FROM (
      SELECT 1 FROM order_ o WHERE o.account_id = asked.account_id AND o.status IN ('pending', 'ready') LIMIT asked.most) AS counted
  ) AS count
  LEFT JOIN LATERAL (
    SELECT o.created_at FROM order_ o WHERE o.account_id = asked.account_id
    ORDER BY o.created_at DESC, o.order_id DESC OFFSET asked.nth - 1 LIMIT 1
  ) AS newest ON true
  ORDER BY asked.n`;

const CLAIM = `
  UPDATE order_ SET resume_at = $2 WHERE order_id IN (
    SELECT order_id FROM order_ WHERE status = 'processing' AND (resume_at <= $1 OR resume_at > $4)
    ORDER BY resume_at LIMIT $3 FOR UPDATE SKIP LOCKED)
  RETURNING ${COLUMNS}`;

const EXPIRED = `
  SELECT ${COLUMNS} FROM order_ WHERE status IN ('pending', 'ready') AND expires_at <= $1 ORDER BY expires_at LIMIT $2`;

const PURGE = `
  DELETE FROM order_ WHERE order_id IN (
    SELECT order_id FROM order_ WHERE status IN ('valid', 'invalid') AND expires_at <= $1 ORDER BY expires_at LIMIT $2)`;

interface Creation {
  readonly order: Order;
  readonly event: NewEvent;
}

interface Stepping {
  readonly target: StepTarget;
  readonly step: OrderStep;
  readonly events: readonly NewEvent[];
}

/** Orders in the table `order_`; each change commits with its event. What is asked at the same time shares statements. */
export function pgOrders(pool: Pool, eventLog: EventLog): Orders & OrderSweep {
  const create = shareStatement('enroll.order', (items: readonly Creation[]) =>
    insertOrders(eventLog, items),
  );
  const step = shareStatement('enroll.order-step', (items: readonly Stepping[]) =>
    stepOrders(pool, eventLog, items),
  );
  const find = createLookup('enroll.order-find', async (ids: readonly string[]) => {
    const found = await rows(pool, { name: 'order_by_id', text: FIND, values: [ids] });
    return new Map(found.map((order) => [order.orderId, order]));
  });
  const load = shareStatement('enroll.order-load', (questions: readonly LoadQuestion[]) =>
    loadsOf(pool, questions),
  );
  return {
    create: (order) => create({ order, event: ofThisRequest(orderCreated(order)) }),
    find,
    list: (accountId, cursor, limit) =>
      cursor === undefined
        ? rows(pool, { name: 'order_list', text: LIST, values: [accountId, limit] })
        : rows(pool, {
            name: 'order_list_after',
            text: LIST_AFTER,
            values: [accountId, limit, cursor],
          }),
    load: (accountId, most, nth) => load({ accountId, most, nth }),
    step: (target, taken) =>
      step({
        target,
        step: taken,
        events: orderStepped(target, taken).map(ofThisRequest),
      }),
    claimProcessing: (now, leaseUntil, limit) =>
      rows(pool, {
        name: 'order_claim',
        text: CLAIM,
        values: [now, leaseUntil, limit, now + LONGEST_PAUSE],
      }),
    findExpired: (now, limit) =>
      rows(pool, { name: 'order_expired', text: EXPIRED, values: [now, limit] }),
    async purge(before, limit) {
      return (
        (await query(pool, { name: 'order_purge', text: PURGE, values: [before, limit] }))
          .rowCount ?? 0
      );
    },
  };
}

async function insertOrders(eventLog: EventLog, items: readonly Creation[]): Promise<undefined[]> {
  await eventLog.change({
    name: 'order_create',
    expressions: INSERT,
    values: [JSON.stringify(items.map(({ order }) => toRow(order)))],
    returning: 'SELECT order_id FROM made',
    events: items.map(({ order, event }) => ({ key: order.orderId, event })),
  });
  return items.map(() => undefined);
}

async function stepOrders(
  pool: Pool,
  eventLog: EventLog,
  items: readonly Stepping[],
): Promise<(Order | undefined)[]> {
  const values = [JSON.stringify(items.map(({ target, step }, n) => stepRow(n, target, step)))];
  const events = items.flatMap((item, n) => item.events.map((event) => ({ key: `${n}`, event })));
  const stepped =
    events.length === 0
      ? (
          await executeOnce<SteppedRow>(pool, {
            name: 'order_step_silent',
            text: `${STEP} ${STEPPED}`,
            values,
          })
        ).rows
      : await eventLog.change<SteppedRow>({
          name: 'order_step',
          expressions: STEP,
          values,
          returning: STEPPED,
          events,
        });
  const byItem = new Map(stepped.map((row) => [row.n, toOrder(row)]));
  return items.map((_, n) => byItem.get(n));
}

interface SteppedRow extends Row {
  readonly n: number;
}

interface LoadQuestion {
  readonly accountId: string;
  readonly most: number;
  readonly nth: number;
}

async function loadsOf(pool: Pool, questions: readonly LoadQuestion[]): Promise<OrderLoad[]> {
  const { rows } = await query<{ open: number; created_at: string | number | null }>(pool, {
    name: 'order_load',
    text: LOAD,
    values: [
      questions.map(({ accountId }) => accountId),
      questions.map(({ most }) => most),
      questions.map(({ nth }) => nth),
    ],
  });
  return rows.map((row) => ({
    open: row.open,
    nthNewest: row.created_at === null ? undefined : Number(row.created_at),
  }));
}

function toRow(order: Order): object {
  return {
    order_id: order.orderId,
    account_id: order.accountId,
    status: order.status,
    identifiers: order.identifiers,
    authorization_ids: order.authorizationIds,
    profile: order.profile,
    profile_hash: order.profileHash,
    request_id: order.requestId,
    not_before: order.notBefore,
    not_after: order.notAfter,
    created_at: order.createdAt,
    expires_at: order.expiresAt,
  };
}

function stepRow(n: number, { orderId }: StepTarget, step: OrderStep): object {
  const request = step.to === 'processing' && step.from === 'ready' && step.certificationRequest;
  return {
    n,
    step_of: orderId,
    step_from: step.from,
    status: step.to,
    ...(step.to === 'processing' ? { resume_at: step.resumeAt } : {}),
    ...(step.to === 'invalid' ? { error: step.error } : {}),
    ...(request ? { certification_request: jsonOctets(request) } : {}),
    ...(step.to === 'valid'
      ? {
          serial_number: step.serialNumber,
          issuer_id: step.issuerId,
          certificate: jsonOctets(step.certificate),
          chain: step.chain.map(jsonOctets),
        }
      : {}),
  };
}

async function rows(pool: Pool, statement: Statement): Promise<Order[]> {
  return (await query<Row>(pool, statement)).rows.map(toOrder);
}

function toOrder(row: Row): Order {
  return {
    orderId: row.order_id,
    accountId: row.account_id,
    status: row.status,
    identifiers: row.identifiers,
    authorizationIds: row.authorization_ids,
    profile: row.profile,
    profileHash: row.profile_hash,
    requestId: row.request_id,
    notBefore: Number(row.not_before),
    notAfter: Number(row.not_after),
    createdAt: Number(row.created_at),
    expiresAt: Number(row.expires_at),
    ...(row.certification_request ? { certificationRequest: row.certification_request } : {}),
    ...(row.serial_number ? { serialNumber: row.serial_number } : {}),
    ...(row.certificate ? { certificate: row.certificate } : {}),
    ...(row.chain ? { chain: row.chain } : {}),
    ...(row.error ? { error: row.error } : {}),
  };
}
