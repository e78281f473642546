import { createEventLog, createEventLogTables, type EventLog } from '@gigvault/database/event-log';
import type { NewEvent } from '@gigvault/database/new-event';
import { transaction } from '@gigvault/database/transaction';
import { HEALTH_CHECKS, type HealthCheck } from '@gigvault/host/service';
import { type Log, silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { notifyConfig } from '../src/notify.config.ts';
import { followEvents, notifyService } from '../src/notify.module.ts';

class Producer1700000000000 implements MigrationInterface {
  readonly name = 'Producer1700000000000';
  async up(queryRunner: QueryRunner): Promise<void> {
    await createEventLogTables(queryRunner, ['notify']);
  }
  async down(): Promise<void> {}
}

let database: TestDatabase;
let pool: Pool;
let caPool: Pool;
let caLog: EventLog;

beforeAll(async () => {
  database = await startTestDatabase();
  pool = await database.pool('notify', notifyService.migrations as never);
  caPool = await database.pool('ca', [Producer1700000000000]);
  caLog = createEventLog({
    pool: caPool,
    producer: 'ca',
    consumers: ['notify'],
    clock: systemClock,
  });
});
afterAll(() => database.stop());

function say(...events: NewEvent[]): Promise<void> {
  return transaction(caPool, (client) => caLog.append(client, events));
}

function event(type: string, subject: string, data: object = {}): NewEvent {
  return { type, actor: 'user:1', subject, data };
}

const REVOKED = {
  reasonCode: 1,
  commonName: 'a.example',
  names: ['a.example'],
  profile: 'tls-server',
  requester: 'user:2',
};

// covers: G83, G84
describe('the notify service', () => {
  it('logs each notification once, also when it starts again, and keeps none', async () => {
    const lines: object[] = [];
    const log: Log = { ...silentLog, info: (fields) => lines.push(fields) };
    const metrics = createMetrics();
    const source = {
      pull: (request: never, options?: { signal?: AbortSignal }) =>
        caLog.pull('notify', request, options?.signal ?? new AbortController().signal),
    };
    const context = {
      client: () => source,
      clock: systemClock,
      database: pool,
      log,
      metrics,
    } as never;
    await say(
      event('certificate.issued', '01', { commonName: 'a.example' }),
      event('certificate.intended', '02'),
    );
    for (let run = 0; run < 2; run += 1) {
      const worker = followEvents(context, 'ca', []);
      await worker.start();
      if (run === 1) await say(event('certificate.revoked', '01', REVOKED));
      await worker.caughtUp();
      await worker.stop();
    }
    expect(lines).toMatchObject([
      { template: 'certificate-issued', fields: { subject: '01', commonName: 'a.example' } },
      { template: 'certificate-revoked', fields: { subject: '01', ...REVOKED } },
    ]);
    const tables = await pool.query(
      'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = current_schema()',
    );
    expect(tables.rows).not.toContainEqual({ name: 'notification' });
    expect(await metrics.exposition()).toContain(
      'gigvault_notifications_total{channel="log",result="ok"} 2',
    );
  });

  it('an event that nobody can read holds up no other; it is counted, and health is red — covers: T17', async () => {
    const lines: object[] = [];
    const metrics = createMetrics();
    const log: Log = { ...silentLog, info: (fields) => lines.push(fields) };
    const source = {
      pull: (request: never, options?: { signal?: AbortSignal }) =>
        caLog.pull('notify', request, options?.signal ?? new AbortController().signal),
    };
    const context = {
      name: 'notify',
      client: () => source,
      clock: systemClock,
      config: notifyConfig.parse({}),
      database: pool,
      log,
      metrics,
    };
    await say(
      event('certificate.issued', '0a', { commonName: 'before.example' }),
      event('certificate.issued', '0b', {}),
      event('certificate.issued', '0c', { commonName: 'after.example' }),
    );
    await caPool.query("UPDATE outbox SET data = 'null' WHERE subject = '0b'");
    const worker = followEvents(context as never, 'ca', []);
    await worker.start();
    await worker.caughtUp();
    await worker.stop();
    const told = lines.filter((fields) => 'template' in fields);
    expect(told).toMatchObject([{ fields: { subject: '0a' } }, { fields: { subject: '0c' } }]);
    expect(await metrics.exposition()).toContain(
      'gigvault_dead_letters_total{consumer="notify",producer="ca"} 1',
    );
    const check = await deadLetterCheck(context as never);
    await expect(check()).rejects.toThrow('1 events were given up');
    await pool.query('DELETE FROM dead_letter');
    await check();
  });
});

/** The health check as the module gives it to the host. */
async function deadLetterCheck(context: never): Promise<() => Promise<void>> {
  const { providers } = (await notifyService.module(context)) as {
    providers: { provide: symbol; useValue: HealthCheck[] }[];
  };
  const checks = providers.find(({ provide }) => provide === HEALTH_CHECKS)!.useValue;
  return checks.find(({ name }) => name === 'notify.dead-letters')!.check;
}
