import { setImmediate as turn } from 'node:timers/promises';
import { withCorrelation } from '@gigvault/telemetry/correlation';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { eventually } from '@gigvault/testkit/eventually';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { type Clock, FakeClock, systemClock } from '@gigvault/time/clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg, { type Pool } from 'pg';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { createEventLog, createEventLogTables, type EventLog } from '../src/event-log.ts';
import { eventLogUpkeep } from '../src/event-log-upkeep.ts';
import { ofThisRequest } from '../src/new-event.ts';
import { transaction } from '../src/transaction.ts';

class Producer1700000000000 implements MigrationInterface {
  readonly name = 'Producer1700000000000';
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('CREATE TABLE thing (id int PRIMARY KEY)');
    await createEventLogTables(queryRunner, ['audit', 'notify']);
  }
  async down(): Promise<void> {}
}

const never = new AbortController().signal;
const noWait = { acknowledged: 0, limit: 1000, waitMs: 0 };
let database: TestDatabase;
let pool: Pool;
let raPool: Pool;
let log: EventLog;

beforeAll(async () => {
  database = await startTestDatabase();
  pool = await database.pool('ca', [Producer1700000000000]);
  log = createEventLog({
    pool,
    producer: 'ca',
    consumers: ['audit', 'notify'],
    clock: systemClock,
  });
  await log.worker.start();
});

afterAll(async () => {
  await log.worker.stop();
  await database.stop();
});

function event(subject: string) {
  return { type: 'thing.made', actor: 'user:1', subject, data: { z: 1, a: { y: 2, b: 3 } } };
}

function say(...subjects: string[]): Promise<void> {
  return transaction(pool, (client) => log.append(client, subjects.map(event)));
}

async function head(): Promise<number> {
  return (await pool.query('SELECT position FROM outbox_head')).rows[0].position;
}

describe('an event log', () => {
  /** Inserts things and tells of those that were not there. */
  const insert = (on: EventLog, ids: readonly number[]) =>
    on.change<{ id: number }>({
      name: 'insert-things',
      expressions: `WITH made AS (
        INSERT INTO thing SELECT unnest($1::int[]) ON CONFLICT DO NOTHING RETURNING id
      ), told AS (SELECT id::text AS key FROM made)`,
      values: [ids],
      returning: 'SELECT id FROM made',
      events: ids.map((id) => ({ key: String(id), event: event(`thing/${id}`) })),
    });

  it('writes with a change the events of what it changed, and only those', async () => {
    const start = await head();
    expect(await insert(log, [1, 2])).toEqual([{ id: 1 }, { id: 2 }]);
    expect(await insert(log, [2, 3, 1])).toEqual([{ id: 3 }]);
    expect(await insert(log, [1, 2, 3])).toEqual([]);
    const { events, head: end } = await log.pull(
      'audit',
      { ...noWait, acknowledged: start },
      never,
    );
    expect(events.map(({ subject }) => subject)).toEqual(['thing/1', 'thing/2', 'thing/3']);
    expect(end).toBe(start + 3);
  });

  it('keeps positions dense when changes and transactions of two processes race', async () => {
    const other = createEventLog({
      pool,
      producer: 'ca',
      consumers: ['audit', 'notify'],
      clock: systemClock,
    });
    const start = await head();
    const ids = Array.from({ length: 100 }, (_, i) => 1000 + i * 3);
    await Promise.all(
      ids.flatMap((id) => [
        insert(log, [id, id + 1]),
        insert(other, [id + 2, id + 1]),
        say(`said/${id}`),
      ]),
    );
    const { events, head: end } = await log.pull(
      'audit',
      { ...noWait, acknowledged: start },
      never,
    );
    expect(end).toBe(start + 400);
    expect(new Set(events.map(({ subject }) => subject)).size).toBe(400);
    expect(events.map(({ position }) => position)).toEqual(
      Array.from({ length: 400 }, (_, i) => start + 1 + i),
    );
    await other.worker.stop();
  });

  it('wakes whoever waits for a change, in this process and in another', async () => {
    const other = createEventLog({
      pool,
      producer: 'ca',
      consumers: ['audit', 'notify'],
      // Its polls never come: only the notification can wake it.
      clock: new FakeClock(systemClock.now()),
    });
    await other.worker.start();
    for (const on of [log, other]) {
      const acknowledged = await head();
      const waiting = on.pull('audit', { acknowledged, limit: 10, waitMs: 20_000 }, never);
      await insert(log, [9_000 + acknowledged]);
      expect((await waiting).events).toHaveLength(1);
    }
    await other.worker.stop();
  });

  it('looks once for consumers that stand at the same place, and for each that stands elsewhere', async () => {
    const acknowledged = await head();
    const wait = (consumer: string, at: number) =>
      log.pull(consumer, { acknowledged: at, limit: 10, waitMs: 20_000 }, never);
    // Both have said how far they are: nothing comes between their look and their wait.
    for (const consumer of ['audit', 'notify'])
      await log.pull(consumer, { ...noWait, acknowledged }, never);
    const together = [wait('audit', acknowledged), wait('notify', acknowledged)];
    const elsewhere = wait('audit', acknowledged + 1);
    // Ahead of the log, as it is told: the others' look is not its own.
    await expect(elsewhere).rejects.toMatchObject({ code: 'INTERNAL' });
    await insert(log, [20_000 + acknowledged]);
    const [first, second] = await Promise.all(together);
    expect(first!.events).toHaveLength(1);
    expect(second).toBe(first);
    const again = await log.pull('notify', { ...noWait, acknowledged }, never);
    expect(again).toEqual(first);
    expect(again).not.toBe(first);
  });

  it('has dense positions in commit order under 16 concurrent transactions, some rolled back', async () => {
    const start = await head();
    let made = 0;
    const one = async (worker: number, round: number) => {
      const subjects = Array.from(
        { length: (worker % 3) + 1 },
        (_, i) => `${worker}/${round}/${i}`,
      );
      await transaction(pool, async (client) => {
        await client.query('SELECT 1');
        await log.append(client, subjects.map(event));
        if ((worker + round) % 3 === 0) throw new Error('rolled back');
      }).then(
        () => {
          made += subjects.length;
        },
        (error: Error) => expect(error.message).toBe('rolled back'),
      );
    };
    const worker = async (n: number) => {
      for (let round = 0; round < 10; round += 1) await one(n, round);
    };
    await Promise.all(Array.from({ length: 16 }, (_, n) => worker(n)));
    const { events, head: end } = await log.pull(
      'audit',
      { ...noWait, acknowledged: start },
      never,
    );
    expect(made).toBeGreaterThan(100);
    expect(end).toBe(start + made);
    expect(events.map(({ position }) => position)).toEqual(
      Array.from({ length: made }, (_, i) => start + 1 + i),
    );
  });

  it('keeps who, what, when and canonical data', async () => {
    const start = await head();
    const before = systemClock.now();
    await say('0a1b');
    const { events } = await log.pull('notify', { ...noWait, acknowledged: start }, never);
    expect(events).toEqual([
      {
        position: start + 1,
        producer: 'ca',
        type: 'thing.made',
        occurredAt: expect.any(Number),
        actor: 'user:1',
        subject: '0a1b',
        data: Buffer.from('{"a":{"b":3,"y":2},"z":1}'),
        traceId: '',
      },
    ]);
    expect(events[0]!.occurredAt).toBeGreaterThanOrEqual(before);
  });

  it('keeps the trace of the request, also of one that shares the transaction with another', async () => {
    const start = await head();
    const inTrace = <T>(digit: string, run: () => T) =>
      withCorrelation({ traceId: digit.repeat(32), requestId: digit }, run);
    const event = { type: 'thing.made', actor: 'user:1', subject: '', data: {} };
    const waiting = inTrace('a', () => ofThisRequest(event));
    await inTrace('b', () => transaction(pool, (client) => log.append(client, [waiting, event])));
    const { events } = await log.pull('notify', { ...noWait, acknowledged: start }, never);
    expect(events.map(({ traceId }) => traceId[0])).toEqual(['a', 'b']);
  });

  it('wakes a waiting pull within milliseconds of the commit', async () => {
    const start = await head();
    const waiting = log.pull('audit', { acknowledged: start, limit: 10, waitMs: 10_000 }, never);
    await turn();
    const before = performance.now();
    await say('woken');
    expect((await waiting).events).toHaveLength(1);
    expect(performance.now() - before).toBeLessThan(300);
  });

  it('answers an empty pull when its time is over or its caller hangs up', async () => {
    const acknowledged = await head();
    expect((await log.pull('audit', { acknowledged, limit: 1, waitMs: 20 }, never)).events).toEqual(
      [],
    );
    const caller = new AbortController();
    const waiting = log.pull('audit', { acknowledged, limit: 1, waitMs: 30_000 }, caller.signal);
    await turn();
    caller.abort();
    expect((await waiting).events).toEqual([]);
  });

  it('wakes pulls again after its listening connection was lost', async () => {
    const acknowledged = await head();
    const admin = new pg.Client(database.admin);
    await admin.connect();
    await admin.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN outbox_ca%' OR query LIKE '%-- ca.event-log'",
    );
    await admin.end();
    const waiting = log.pull('audit', { acknowledged, limit: 1, waitMs: 10_000 }, never);
    await say('after the loss');
    expect((await waiting).events).toHaveLength(1);
  });

  it('lets waiting pulls go when it stops, so that the service can drain', async () => {
    const other = createEventLog({
      pool,
      producer: 'ca',
      consumers: ['audit'],
      clock: systemClock,
    });
    await other.worker.start();
    const waiting = other.pull(
      'audit',
      { acknowledged: await head(), limit: 1, waitMs: 30_000 },
      never,
    );
    const refused = expect(waiting).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await turn();
    await other.worker.stop();
    await refused;
  });

  it('is pulled only by registered consumers', async () => {
    await expect(log.pull('ocsp', noWait, never)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });

  it('records how far consumers are, never backwards, and tells their lag', async () => {
    await say('one', 'two');
    const end = await head();
    // Of an instance that has recorded nothing within ACKNOWLEDGE_EVERY.
    const fresh = createEventLog({
      pool,
      producer: 'ca',
      consumers: ['audit'],
      clock: systemClock,
    });
    await fresh.pull('audit', { ...noWait, acknowledged: end - 1 }, never);
    await fresh.pull('audit', { ...noWait, acknowledged: end - 2 }, never);
    const lag = await fresh.lag('audit');
    expect(lag.events).toBe(1);
    expect(lag.oldestMs).toBeGreaterThanOrEqual(0);
    await fresh.pull('audit', { ...noWait, acknowledged: end }, never);
    expect(await fresh.lag('audit')).toEqual({ events: 0, oldestMs: 0 });
  });

  // covers: T65
  it('refuses to go on over a gap, or before what was acknowledged', async () => {
    await say('x', 'y', 'z');
    const end = await head();
    await expect(
      log.pull('audit', { ...noWait, acknowledged: end + 1 }, never),
    ).rejects.toMatchObject({
      code: 'INTERNAL',
      message: expect.stringContaining(`ends at ${end}`),
    });
    const { rows } = await pool.query('DELETE FROM outbox WHERE position = $1 RETURNING *', [
      end - 1,
    ]);
    await expect(
      log.pull('audit', { ...noWait, acknowledged: end - 3 }, never),
    ).rejects.toMatchObject({
      message: expect.stringContaining(`gap at position ${end - 1}`),
    });
    await pool.query('INSERT INTO outbox SELECT * FROM json_populate_record(NULL::outbox, $1)', [
      JSON.stringify({ ...rows[0], data: `\\x${rows[0].data.toString('hex')}` }),
    ]);
    expect(
      (await log.pull('audit', { ...noWait, acknowledged: end - 3 }, never)).events,
    ).toHaveLength(3);
  });

  it('reaps only what every consumer has acknowledged', async () => {
    const clock = new FakeClock(systemClock.now() + 60_000);
    const later = createEventLog({ pool, producer: 'ca', consumers: ['audit', 'notify'], clock });
    const end = await head();
    await log.pull('audit', { ...noWait, acknowledged: end }, never);
    expect(await later.reap(3_600_000)).toBe(0);
    const notifyAt = (
      await pool.query("SELECT acknowledged FROM outbox_consumer WHERE consumer = 'notify'")
    ).rows[0];
    expect(await later.reap(1000)).toBe(notifyAt.acknowledged);
    expect(
      (await log.pull('notify', { ...noWait, acknowledged: notifyAt.acknowledged }, never)).head,
    ).toBe(end);
    await log.pull('notify', { ...noWait, acknowledged: end }, never);
  });

  it('reaps a backlog in batches, and what is not acknowledged stays', async () => {
    const eventLog = await emptyLog();
    await fill(eventLog, 12_001);
    expect(await eventLog.reap(-1000, AbortSignal.abort())).toBe(5_000);
    expect(await eventLog.reap(-1000)).toBe(7_000);
    expect(await kept()).toBe(1);
  });

  it('is looked after: old events that everybody has are gone, and the length of each queue is told', async () => {
    const clock = new FakeClock(systemClock.now());
    const eventLog = await emptyLog(clock);
    await fill(eventLog, 10);
    const metrics = createMetrics();
    const upkeep = eventLogUpkeep({
      eventLog,
      clock,
      clockGuard: createClockGuard(clock),
      log: silentLog,
      metrics,
    });
    await upkeep.start();
    await eventually(async () => {
      const text = await metrics.exposition();
      expect(text).toContain('gigvault_queue_depth{queue="events.ra.audit"} 1');
      expect(text).toContain('gigvault_queue_depth{queue="events.ra.notify"} 0');
    });
    expect(await kept()).toBe(10);
    await eventually(async () => {
      clock.advance(8 * 86_400_000);
      expect(await kept()).toBe(1);
    });
    await upkeep.stop();
  });
});

/** An empty log of `ra`. */
async function emptyLog(clock: Clock = systemClock): Promise<EventLog> {
  raPool ??= await database.pool('ra', [Producer1700000000000]);
  for (const table of ['outbox', 'outbox_consumer']) await raPool.query(`DELETE FROM ${table}`);
  return createEventLog({ pool: raPool, producer: 'ra', consumers: ['audit', 'notify'], clock });
}

/** Appends events; then `audit` has all but the newest, `notify` has all. */
async function fill(eventLog: EventLog, count: number): Promise<void> {
  const events = Array.from({ length: count }, (_, i) => event(`${i}`));
  await transaction(raPool, (client) => eventLog.append(client, events));
  const { rows } = await raPool.query('SELECT position FROM outbox_head');
  for (const [consumer, behind] of [
    ['audit', 1],
    ['notify', 0],
  ] as const)
    await eventLog.pull(consumer, { ...noWait, acknowledged: rows[0].position - behind }, never);
}

async function kept(): Promise<number> {
  return (await raPool.query('SELECT count(*) AS n FROM outbox')).rows[0].n;
}
