import { createEventLog, createEventLogTables, type EventLog } from '@gigvault/database/event-log';
import { RPC } from '@gigvault/rpc/contracts';
import { createGrpcClients } from '@gigvault/rpc/grpc-client';
import { startGrpcServer } from '@gigvault/rpc/grpc-server';
import { readPeerTable } from '@gigvault/rpc/peers';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { createTestIdentities } from '@gigvault/testkit/test-identities';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Module } from '@nestjs/common';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { z } from 'zod';
import { EVENT_LOG, EventLogRpc } from '../src/event-log-rpc.ts';
import { type ProcessHost, runService } from '../src/run-service.ts';
import { WORKERS } from '../src/service.ts';

class Producer1700000000000 implements MigrationInterface {
  readonly name = 'Producer1700000000000';
  async up(queryRunner: QueryRunner): Promise<void> {
    await createEventLogTables(queryRunner, ['audit']);
  }
  async down(): Promise<void> {}
}

class CaModule {}
Module({})(CaModule);

const identities = createTestIdentities();
let database: TestDatabase;

beforeAll(async () => {
  database = await startTestDatabase();
});
afterAll(() => database.stop());

async function producer() {
  const pool = await database.pool('ca', [Producer1700000000000]);
  const log = createEventLog({ pool, producer: 'ca', consumers: ['audit'], clock: systemClock });
  const { promise: asked, resolve: isAsked } = Promise.withResolvers<void>();
  const watched: EventLog = {
    ...log,
    pull(...call) {
      isAsked();
      return log.pull(...call);
    },
  };
  const host = {
    trustDomain: 'gigvault.test',
    peers: readPeerTable('ca: { gigvault.event.v1.EventLogService/Pull: [audit] }'),
    clock: systemClock,
    metrics: createMetrics(),
    dataDir: () => '/nowhere',
    pool: () => pool,
    log: () => silentLog,
    authenticator: () => undefined,
  } as unknown as ProcessHost;
  const service = await runService(
    {
      name: 'ca',
      zone: 'inside',
      config: z.unknown(),
      migrations: [],
      serves: [RPC.eventLog],
      module: () => ({
        module: CaModule,
        controllers: [EventLogRpc],
        providers: [
          { provide: EVENT_LOG, useValue: watched },
          { provide: WORKERS, useValue: [log.worker] },
        ],
      }),
    },
    {},
    host,
  );
  await service.startWorkers();
  return { service, asked };
}

it('a producer that drains lets go of those who wait for its next event', async () => {
  const { service, asked } = await producer();
  const server = await startGrpcServer({
    host: '127.0.0.1',
    port: 0,
    identity: identities.identity('ca'),
    tables: [service.table],
  });
  const clients = createGrpcClients(identities.identity('audit'), {
    ca: `127.0.0.1:${server.port}`,
  });
  const poll = clients
    .client(RPC.eventLog, 'ca')
    .pull({ acknowledged: 0, limit: 1, waitMs: 20_000 }, { deadline: 25_000 });
  await asked;
  const start = systemClock.now();
  const draining = Promise.all([service.endLongPolls(), server.stop(30_000)]);
  await expect(poll).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await draining;
  await service.stop();
  clients.close();
  expect(systemClock.now() - start).toBeLessThan(5_000);
});
