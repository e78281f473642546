import { randomUUID } from 'node:crypto';
import { query } from '@gigvault/database/query';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import type { Pool, PoolClient } from 'pg';
import { LONGEST_WAIT } from '../delivery/deliver.ts';
import { cloudEvent } from '../delivery/message.ts';
import type { Notification } from '../notification/templates.ts';
import type { Delivery, DeliveryQueue } from '../ports/delivery-queue.ts';

/** Where notifications wait. */
export interface DeliveryStore {
  /** In the transaction of the events that they are of: each is there once, whatever dies. */
  add(client: PoolClient, webhook: string, notifications: readonly Notification[]): Promise<void>;
  /** Of the webhook with this name. */
  queue(webhook: string): DeliveryQueue;
  /**
   * Forgets what has waited for longer than any attempt for webhooks that are not configured any more. Returns how many there were.
   * Not at once: another process may know of a webhook that this one does not know yet.
   */
  forgetOthers(webhooks: readonly string[]): Promise<number>;
}

const ADD = `INSERT INTO delivery (delivery_id, webhook, body, created_at, due_at)
  SELECT delivery_id, $1, body, $2, $2 FROM unnest($3::uuid[], $4::text[]) AS d (delivery_id, body)`;

// Who claims moves it behind the lease: a process that dies gives nothing back. What is further ahead than any wait is of a clock that was wrong (T15).
const CLAIM = `UPDATE delivery SET attempts = attempts + 1, due_at = $2 + $4
  WHERE delivery_id IN (SELECT delivery_id FROM delivery WHERE webhook = $1 AND (due_at <= $2 OR due_at > $5)
                        ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)
  RETURNING delivery_id, body, attempts`;

// What is given up has no turn: due_at is null.
const COUNT = `SELECT count(due_at) AS waiting, count(*) - count(due_at) AS given_up FROM delivery WHERE webhook = $1`;

/** Milliseconds: older than any attempt. */
const OLD = 2 * 86_400_000;

/** Notifications in PostgreSQL until they have arrived. @param source the installation, as in the CloudEvents */
export function pgDeliveryStore(pool: Pool, clock: Clock, source: string): DeliveryStore {
  return {
    async add(client, webhook, notifications) {
      if (notifications.length === 0) return;
      const ids = notifications.map(() => randomUUID());
      const bodies = notifications.map((one, i) => cloudEvent(ids[i] as string, source, one));
      const values = [webhook, clock.now(), ids, bodies];
      await query(client, { name: 'notify-delivery-add', text: ADD, values });
    },
    queue: (webhook) => queueOf(pool, clock, webhook),
    async forgetOthers(webhooks) {
      const text = 'DELETE FROM delivery WHERE webhook <> ALL ($1::text[]) AND created_at < $2';
      const values = [webhooks, clock.now() - OLD];
      const { rowCount } = await query(pool, { text, values });
      return rowCount ?? 0;
    },
  };
}

interface DeliveryRow {
  readonly delivery_id: string;
  readonly body: string;
  readonly attempts: number;
}

function queueOf(pool: Pool, clock: Clock, webhook: string): DeliveryQueue {
  return {
    async claim(limit, lease): Promise<Delivery[]> {
      const now = clock.now();
      const values = [webhook, now, limit, lease, now + 2 * LONGEST_WAIT];
      const { rows } = await query<DeliveryRow>(pool, {
        name: 'notify-delivery-claim',
        text: CLAIM,
        values,
      });
      return rows.map((row) => ({
        deliveryId: row.delivery_id,
        body: row.body,
        attempt: row.attempts,
      }));
    },
    async forget(deliveryId) {
      const text = 'DELETE FROM delivery WHERE delivery_id = $1';
      await durableStep('notify.delivered', () =>
        query(pool, { name: 'notify-delivered', text, values: [deliveryId] }),
      );
    },
    async failed({ deliveryId, attempt }, failure, dueAt) {
      const text =
        'UPDATE delivery SET failure = $3, due_at = $4 WHERE delivery_id = $1 AND attempts = $2';
      const values = [deliveryId, attempt, failure.slice(0, 500), dueAt ?? null];
      await query(pool, { name: 'notify-delivery-failed', text, values });
    },
    async retryAll() {
      const text =
        'UPDATE delivery SET attempts = 0, due_at = $2 WHERE webhook = $1 AND due_at IS NULL';
      await query(pool, { name: 'notify-delivery-retry', text, values: [webhook, clock.now()] });
    },
    async count() {
      const { rows } = await query<{ waiting: number; given_up: number }>(pool, {
        name: 'notify-delivery-count',
        text: COUNT,
        values: [webhook],
      });
      return { waiting: Number(rows[0]?.waiting), givenUp: Number(rows[0]?.given_up) };
    },
  };
}
