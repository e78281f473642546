import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { afterAll, afterEach, beforeAll } from '@jest/globals';
import type { Pool } from 'pg';
import { crlService } from '../src/crl.module.ts';
import { type CrlWorld, startedCrlWorld } from './crl-world.ts';

/** The CRL service of a test file: one database for all tests, one world for each. */
export interface SharedCrl {
  readonly database: TestDatabase;
  readonly pool: Pool;
  /** Stopped after each test; a test that makes another one puts it in its place. */
  world: CrlWorld;
  started(config?: object): Promise<CrlWorld>;
}

/** Starts the database before the tests of the file, and stops everything after them. */
export function useCrl(): SharedCrl {
  let database: TestDatabase;
  let pool: Pool;
  const crl = {
    get database() {
      return database;
    },
    get pool() {
      return pool;
    },
    async started(config = {}) {
      crl.world = await startedCrlWorld(pool, config);
      return crl.world;
    },
  } as SharedCrl;

  beforeAll(async () => {
    database = await startTestDatabase();
    pool = await database.pool('crl', crlService.migrations);
  });
  afterAll(() => database.stop());
  afterEach(async () => {
    installFaultHook(undefined);
    await crl.world.stop();
  });
  return crl;
}
