import type { EventLog } from '@gigvault/database/event-log';
import { query } from '@gigvault/database/query';
import { transaction } from '@gigvault/database/transaction';
import type { ErrorRecord } from '@gigvault/errors/gigvault-error';
import type { Pool, PoolClient } from 'pg';
import type {
  Identifier,
  Order,
  OrderStatus,
  OrderStep,
  OrderSweep,
  Orders,
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
  INSERT INTO order_ (order_id, account_id, status, identifiers, authorization_ids, profile, profile_hash, request_id,
    not_before, not_after, created_at, expires_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`;

const STEP = `
  UPDATE order_ SET status = $3, resume_at = $4, error = $5,
    certification_request = COALESCE($6, certification_request),
    serial_number = $7, issuer_id = $8, certificate = $9, chain = $10
  WHERE order_id = $1 AND status = $2 RETURNING ${COLUMNS}`;

const LIST = `
  SELECT ${COLUMNS} FROM order_ WHERE account_id = $1 AND status <> 'invalid'
  ORDER BY created_at DESC, order_id DESC LIMIT $2`;

const LIST_AFTER = `
  SELECT ${COLUMNS} FROM order_ WHERE account_id = $1 AND status <> 'invalid'
    AND (created_at, order_id) < (SELECT created_at, order_id FROM order_ WHERE order_id = $3 AND account_id = $1)
  ORDER BY created_at DESC, order_id DESC LIMIT $2`;

const COUNT_OPEN = `
  SELECT count(*)::int AS open FROM (
    SELECT 1 FROM order_ WHERE account_id = $1 AND status IN ('pending', 'ready') LIMIT $2) AS counted`;

const NTH_NEWEST = `
  SELECT created_at FROM order_ WHERE account_id = $1 ORDER BY created_at DESC, order_id DESC OFFSET $2 - 1 LIMIT 1`;

const CLAIM = `
  UPDATE order_ SET resume_at = $2 WHERE order_id IN (
    SELECT order_id FROM order_ WHERE status = 'processing' AND resume_at <= $1
    ORDER BY resume_at LIMIT $3 FOR UPDATE SKIP LOCKED)
  RETURNING ${COLUMNS}`;

const EXPIRED = `
  SELECT ${COLUMNS} FROM order_ WHERE status IN ('pending', 'ready') AND expires_at <= $1 ORDER BY expires_at LIMIT $2`;

const PURGE = `
  DELETE FROM order_ WHERE order_id IN (
    SELECT order_id FROM order_ WHERE status IN ('valid', 'invalid') AND expires_at <= $1 ORDER BY expires_at LIMIT $2)`;

/** Orders in the table `order_`; each change commits with its event. */
export function pgOrders(pool: Pool, eventLog: EventLog): Orders & OrderSweep {
  return {
    create: (order) =>
      transaction(pool, async (client) => {
        await client.query({ name: 'order_create', text: INSERT, values: insertValues(order) });
        await eventLog.append(client, [orderCreated(order)]);
      }),
    async find(orderId) {
      const text = `SELECT ${COLUMNS} FROM order_ WHERE order_id = $1`;
      return (await rows(pool, { name: 'order_by_id', text, values: [orderId] }))[0];
    },
    list: (accountId, cursor, limit) =>
      cursor === undefined
        ? rows(pool, { name: 'order_list', text: LIST, values: [accountId, limit] })
        : rows(pool, {
            name: 'order_list_after',
            text: LIST_AFTER,
            values: [accountId, limit, cursor],
          }),
    async countOpen(accountId, limit) {
      const { rows } = await query<{ open: number }>(pool, {
        name: 'order_open',
        text: COUNT_OPEN,
        values: [accountId, limit],
      });
      return rows[0]?.open ?? 0;
    },
    async nthNewest(accountId, n) {
      const { rows } = await query<{ created_at: string | number }>(pool, {
        name: 'order_nth_newest',
        text: NTH_NEWEST,
        values: [accountId, n],
      });
      return rows[0] && Number(rows[0].created_at);
    },
    step: (orderId, step) =>
      transaction(pool, async (client) => {
        const [order] = await rows(client, {
          name: 'order_step',
          text: STEP,
          values: stepValues(orderId, step),
        });
        if (order) await eventLog.append(client, orderStepped(order, step));
        return order;
      }),
    claimProcessing: (now, leaseUntil, limit) =>
      rows(pool, { name: 'order_claim', text: CLAIM, values: [now, leaseUntil, limit] }),
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

function insertValues(order: Order): unknown[] {
  return [
    order.orderId,
    order.accountId,
    order.status,
    JSON.stringify(order.identifiers),
    order.authorizationIds,
    order.profile,
    order.profileHash,
    order.requestId,
    order.notBefore,
    order.notAfter,
    order.createdAt,
    order.expiresAt,
  ];
}

function stepValues(orderId: string, step: OrderStep): unknown[] {
  const issued =
    step.to === 'valid'
      ? [step.serialNumber, step.issuerId, step.certificate, step.chain]
      : [null, null, null, null];
  return [
    orderId,
    step.from,
    step.to,
    step.to === 'processing' ? step.resumeAt : null,
    step.to === 'invalid' ? JSON.stringify(step.error) : null,
    step.to === 'processing' && step.from === 'ready' ? step.certificationRequest : null,
    ...issued,
  ];
}

async function rows(client: Pool | PoolClient, statement: Statement): Promise<Order[]> {
  return (await query<Row>(client, statement)).rows.map(toOrder);
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
