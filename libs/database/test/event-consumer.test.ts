import { setImmediate as turn } from 'node:timers/promises';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Event, EventLogService } from '@gigvault/proto/event/v1/event_log';
import type { Client } from '@gigvault/rpc/call';
import { type Log, silentLog } from '@gigvault/telemetry/log';
import { eventually } from '@gigvault/testkit/eventually';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { systemClock } from '@gigvault/time/clock';
import { within } from '@gigvault/time/within';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool, PoolClient } from 'pg';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { createDeadLetterTable } from '../src/dead-letters.ts';
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
    await createDeadLetterTable(queryRunner);
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

  it('does not sleep for as long as the clock was set back under it — covers: T15', async () => {
    const now = Date.now;
    const worker = consumer(async () => {
      Date.now = () => now() - 3_600_000;
    });
    try {
      await say('before');
      await worker.start();
      await worker.caughtUp();
      await say('after');
      await within(systemClock, 10_000, worker.caughtUp(), 'the consumer sleeps');
    } finally {
      Date.now = now;
      await worker.stop();
    }
  });

  // covers: T17
  describe('that has dead letters', () => {
    const buried: number[] = [];
    const errors: object[] = [];
    const loud: Log = { ...silentLog, error: (fields) => errors.push(fields) };

    const tolerant = (handle: EventConsumerOptions['handle']) =>
      consumer(handle, {
        log: loud,
        deadLetters: { attempts: 3, onBuried: ({ position }) => buried.push(position) },
      });

    const kept = async () =>
      (await consumerPool.query('SELECT position, subject, reason FROM dead_letter')).rows;

    /** Runs until everything has been consumed. */
    async function run(handle: EventConsumerOptions['handle']): Promise<void> {
      const worker = tolerant(handle);
      await worker.start();
      await worker.caughtUp();
      await eventually(() => expect(worker.progress().failure).toBeUndefined());
      await worker.stop();
    }

    it('gives up one event after its tries, and the others take effect in order', async () => {
      await run(record);
      const before = (await effects()).length;
      const start = await head();
      await say('good', 'good', 'bad', 'good', 'good');
      const tries: number[] = [];
      await run(async (client, events) => {
        await record(client, events);
        if (!events.some(({ subject }) => subject === 'bad')) return;
        tries.push(events.length);
        throw new TypeError('nothing can be made of it');
      });
      expect(tries).toEqual([5, 1, 1, 1]);
      expect((await effects()).slice(before)).toEqual([1, 2, 4, 5].map((n) => start + n));
      expect(await kept()).toEqual([
        { position: start + 3, subject: 'bad', reason: 'TypeError: nothing can be made of it' },
      ]);
      expect(buried).toEqual([start + 3]);
      expect(errors).toContainEqual(
        expect.objectContaining({ producer: 'ca', position: start + 3, type: 'thing.made' }),
      );
    });

    it('tries what was given up again at the next start, once', async () => {
      const [{ position }] = await kept();
      const before = (await effects()).length;
      let tries = 0;
      await run(async () => {
        tries += 1;
        throw new Error('still nothing');
      });
      expect(tries).toBe(1);
      expect(await kept()).toHaveLength(1);
      await run(record);
      expect(await kept()).toEqual([]);
      expect((await effects()).slice(before)).toEqual([position]);
    });

    it('gives up none for what time mends', async () => {
      const start = await head();
      await say('waits');
      let failures = 0;
      await run(async (client, events) => {
        failures += 1;
        if (failures <= 5) throw new GigvaultError('UNAVAILABLE', 'not now');
        await record(client, events);
      });
      expect(await kept()).toEqual([]);
      expect(await effects()).toContain(start + 1);
    });

    it('keeps an event whose failure quotes what no text column takes', async () => {
      await say('unspeakable');
      const position = await head();
      await run(async () => {
        throw new Error(`a\0b\uD800c${'x'.repeat(100_000)}`);
      });
      const [{ reason }] = await kept();
      expect(reason).toMatch(/^Error: a\uFFFDb\uFFFDcx+$/);
      expect(reason).toHaveLength(2_000);
      expect(buried.at(-1)).toBe(position);
    });

    it('tries what was given up once more when it could not tell for want of the database', async () => {
      const [{ position }] = await kept();
      let failures = 0;
      await run(async (client, events) => {
        failures += 1;
        if (failures <= 2) await client.query('SELECT pg_terminate_backend(pg_backend_pid())');
        await record(client, events);
      });
      expect(failures).toBe(3);
      expect(await kept()).toEqual([]);
      expect((await effects()).at(-1)).toBe(position);
    });

    it('has one try for each of many events that nothing can be made of', async () => {
      const start = await head();
      await say('bad', 'bad', 'good', 'bad', 'bad', 'good', 'bad');
      await say('bad');
      const tries = new Map<number, number>();
      await run(async (client, events) => {
        if (events.length === 1) {
          const [{ position }] = events as [Event];
          tries.set(position - start, (tries.get(position - start) ?? 0) + 1);
        }
        if (events.some(({ subject }) => subject === 'bad')) throw new Error('of a kind');
        await record(client, events);
      });
      expect([...tries.values()]).toEqual([3, 3, 1, 3, 1, 1, 1, 1]);
      expect(await kept()).toHaveLength(6);
      await run(record);
      expect(await kept()).toEqual([]);
    });
  });
});
