import type { HttpReply } from '@gigvault/http/route';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { eventually } from '@gigvault/testkit/eventually';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { afterAll, afterEach, beforeAll, expect } from '@jest/globals';
import type { Pool } from 'pg';
import { ocspService } from '../src/ocsp.module.ts';
import { certId, ocspRequest, readAnswer } from './ocsp-request.ts';
import { type OcspWorld, startedOcspWorld } from './ocsp-world.ts';

/** The OCSP service of a test file: one database for all tests, one world for each. */
export interface SharedOcsp {
  readonly database: TestDatabase;
  readonly pool: Pool;
  /** Stopped after each test; a test that restarts it puts the new one in its place. */
  world: OcspWorld;
  started(config?: object): Promise<void>;
  ask(serialNumber: string, nonce?: Buffer): Promise<HttpReply>;
  statusOf(serialNumber: string): Promise<unknown>;
  /** Lets the event log of `ca` be read to its end at the time that it is now. */
  followed(): Promise<void>;
  /** Waits until the events of so many certificates have taken effect. */
  recorded(count: number): Promise<void>;
}

/** Starts the database before the tests of the file, and stops everything after them. */
export function useOcsp(): SharedOcsp {
  let database: TestDatabase;
  let pool: Pool;
  const ocsp = {
    get database() {
      return database;
    },
    get pool() {
      return pool;
    },
    async started(config = {}) {
      ocsp.world = await startedOcspWorld(pool, config);
    },
    ask: (serialNumber, nonce) =>
      ocsp.world.post(ocspRequest([certId(ocsp.world.ca.issuerCertificate, serialNumber)], nonce)),
    statusOf: async (serialNumber) =>
      readAnswer(await ocsp.ask(serialNumber)).data?.responses[0]?.status,
    followed: () =>
      eventually(() => {
        ocsp.world.ca.events.endPolls();
        return ocsp.world.health('ocsp.freshness');
      }),
    recorded: (count) =>
      eventually(async () =>
        expect((await pool.query('SELECT 1 FROM status')).rows).toHaveLength(count),
      ),
  } as SharedOcsp;

  beforeAll(async () => {
    database = await startTestDatabase();
    pool = await database.pool('ocsp', ocspService.migrations);
  });
  afterAll(() => database.stop());
  afterEach(async () => {
    installFaultHook(undefined);
    const { world } = ocsp;
    world.ca.down = false;
    world.ca.events.down = false;
    await world.stop();
  });
  return ocsp;
}
