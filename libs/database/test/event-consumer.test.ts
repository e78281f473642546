import { setImmediate as turn } from 'node:timers/promises';
import type { Event, EventLogService } from '@gigvault/proto/event/v1/event_log';
import type { Client } from '@gigvault/rpc/call';
import { silentLog } from '@gigvault/telemetry/log';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool, PoolClient } from 'pg';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { type EventConsumerOptions, eventConsumer } from '../src/event-consumer.ts';
import {
  createEventCursorTable,
  createEventLog,
  createEventLogTables,
  type EventLog,
} from '../src/event-log.ts';
import { transaction } from '../src/transaction.ts';

class Producer1700000000000 implements MigrationInterface {
  readonly name = 'Producer1700000000000';
  async up(queryRunner: QueryRunner): Promise<void> {
    await createEventLogTables(queryRunner, ['notify']);
  }
  async down(): Promise<void> {}
}

class Consumer1700000000000 implements MigrationInterface {
  readonly name = 'Consumer1700000000000';
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('CREATE TABLE effect (n serial PRIMARY KEY, position bigint NOT NULL)');
    await createEventCursorTable(queryRunner);
  }
  async down(): Promise<void> {}
}

const never = new AbortController().signal;
let database: TestDatabase;
let pool: Pool;
let consumerPool: Pool;
let log: EventLog;

beforeAll(async () => {
  database = await startTestDatabase();
  pool = await database.pool('ca', [Producer1700000000000]);
  consumerPool = await database.pool('notify', [Consumer1700000000000]);
  log = createEventLog({ pool, producer: 'ca', consumers: ['notify'], clock: systemClock });
  await log.worker.start();
});

afterAll(async () => {
  await log.worker.stop();
  await database.stop();
});

function say(...subjects: string[]): Promise<void> {
  const events = subjects.map((subject) => ({
    type: 'thing.made',
    actor: 'user:1',
    subject,
    data: {},
  }));
  return transaction(pool, (client) => log.append(client, events));
}

async function head(): Promise<number> {
  return (await pool.query('SELECT position FROM outbox_head')).rows[0].position;
}

describe('eventConsumer', () => {
  const source: Client<EventLogService> = {
    pull: (request, options) => log.pull('notify', request, options?.signal ?? never),
  };

  function consumer(
    handle: EventConsumerOptions['handle'],
    more: Partial<EventConsumerOptions> = {},
  ) {
    return eventConsumer({
      producer: 'ca',
      consumer: 'notify',
      source,
      pool: consumerPool,
      clock: systemClock,
      log: silentLog,
      handle,
      ...more,
    });
  }

  async function record(client: PoolClient, events: readonly Event[]): Promise<void> {
    await client.query('INSERT INTO effect (position) SELECT unnest($1::bigint[])', [
      events.map((e) => e.position),
    ]);
  }

  async function effects(): Promise<number[]> {
    const { rows } = await consumerPool.query('SELECT position FROM effect ORDER BY n');
    return rows.map(({ position }) => position);
  }

  it('hands every event over once and in order, and follows new ones', async () => {
    const start = await head();
    await say('a', 'b');
    const seen: number[] = [];
    const worker = consumer(record, {
      afterCommit: (events) => seen.push(...events.map((e) => e.position)),
      batch: 2,
    });
    await worker.start();
    await worker.caughtUp();
    await say('c', 'd', 'e');
    await worker.caughtUp();
    await worker.stop();
    const expected = [1, 2, 3, 4, 5].map((n) => start + n);
    expect(await effects()).toEqual(expected);
    expect(seen).toEqual(expected);
    expect(worker.progress()).toMatchObject({
      position: start + 5,
      head: start + 5,
      failure: undefined,
    });
  });

  it('loses nothing and does nothing twice when it dies between effect and commit', async () => {
    const before = await effects();
    const start = await head();
    await say('f', 'g', 'h');
    let failures = 0;
    const worker = consumer(async (client, events) => {
      await record(client, events);
      if (failures < 2) {
        failures += 1;
        await client.query('SELECT pg_terminate_backend(pg_backend_pid())');
      }
    });
    await worker.start();
    await worker.caughtUp();
    await worker.stop();
    expect(failures).toBe(2);
    expect((await effects()).slice(before.length)).toEqual([1, 2, 3].map((n) => start + n));
  });

  it('may run twice: the second instance finds the cursor moved', async () => {
    const before = await effects();
    const start = await head();
    const workers = [consumer(record), consumer(record)];
    await Promise.all(workers.map((worker) => worker.start()));
    for (let i = 0; i < 20; i += 1) await say(`i${i}`);
    await Promise.all(workers.map((worker) => worker.caughtUp()));
    await Promise.all(workers.map((worker) => worker.stop()));
    expect((await effects()).slice(before.length)).toEqual(
      Array.from({ length: 20 }, (_, i) => start + 1 + i),
    );
  });

  it('says what is wrong while it cannot go on, and that it is stopped', async () => {
    await say('poison');
    const tried = Promise.withResolvers<void>();
    let attempts = 0;
    const worker = consumer(async () => {
      attempts += 1;
      if (attempts === 2) tried.resolve();
      throw new Error('cannot');
    });
    await worker.start();
    await tried.promise;
    const waiting = worker.caughtUp();
    const refused = expect(waiting).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await turn();
    expect(worker.progress().failure).toMatchObject({ message: 'cannot' });
    await worker.stop();
    await refused;
    expect(await effects()).not.toContain(await head());
  });
});
