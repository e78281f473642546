import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { awsKmsKeyStore } from '@gigvault/keystore/aws-kms/aws-kms-key-store';
import type { KeyHandle, KeyStore } from '@gigvault/keystore/key-store';
import { createMasterKey, masterKeyFiles } from '@gigvault/keystore/master-key';
import { pkcs8KeyStore } from '@gigvault/keystore/pkcs8-key-store';
import { pkcs11KeyStore } from '@gigvault/keystore/pkcs11/pkcs11-key-store';
import { parsePkcs11Uri } from '@gigvault/keystore/pkcs11/pkcs11-uri';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { startMoto } from '@gigvault/testkit/moto-server';
import { softHsmToken } from '@gigvault/testkit/softhsm-token';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { pgBackendTestTable } from '../src/adapters/pg-backend-test-table.ts';
import { backendsOf } from '../src/backends/backends.ts';
import { testBackend } from '../src/backends/test-backend.ts';
import { keymgrService } from '../src/keymgr.module.ts';
import { personWorld } from './person.ts';

const MINUTE = 60_000;
const DATA = Buffer.from('data');

let database: TestDatabase;
let pool: Pool;
beforeAll(async () => {
  database = await startTestDatabase();
  pool = await database.pool('keymgr', keymgrService.migrations);
});
afterAll(() => database?.stop());
afterEach(() => installFaultHook(undefined));

/** A backend that several processes open. */
interface Place {
  open(): KeyStore & { close?(): Promise<void> };
  remove(): Promise<void>;
}

async function files(): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'gigvault-backend-tests-'));
  const masterKey = join(folder, 'master.key');
  await createMasterKey(masterKey);
  return {
    open: () =>
      pkcs8KeyStore({ directory: join(folder, 'keys'), masterKeys: masterKeyFiles(masterKey) }),
    remove: () => rm(folder, { recursive: true }),
  };
}

async function token(): Promise<Place> {
  const made = await softHsmToken();
  const { environment } = made;
  return {
    open: () => pkcs11KeyStore({ uri: parsePkcs11Uri(made.uri), environment, deadline: 20_000 }),
    remove: made.remove,
  };
}

async function awsKms(): Promise<Place> {
  const { endpoint, region, stop } = await startMoto();
  const credentials = async () => ({ accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'not checked' });
  const connection = { endpoint, region, credentials };
  const instance = randomUUID();
  return {
    open: () => awsKmsKeyStore({ connection, instance, deadline: 30_000 }),
    remove: stop,
  };
}

/** Never goes on from there: nothing that comes later runs, not even what cleans up. */
function dyingAt(place: string) {
  const dead = Promise.withResolvers<void>();
  const dieAt = (here: string) => {
    if (here !== place) return;
    dead.resolve();
    return new Promise<never>(() => undefined);
  };
  return { dead: dead.promise, dieAt };
}

const STEP = 'keymgr.backend-test';

describe.each(Object.entries({ files, token, awsKms }))('a test of %s that dies', (_, make) => {
  let place: Place;
  let store: ReturnType<Place['open']>;
  let another: ReturnType<Place['open']>;
  beforeAll(async () => {
    place = await make();
    [store, another] = [place.open(), place.open()];
  });
  afterAll(async () => {
    for (const opened of [store, another]) await opened?.close?.();
    await place?.remove();
  });

  /** As a new process sees it. */
  async function isThere(handle: KeyHandle): Promise<boolean> {
    const fresh = place.open();
    const signed = await fresh.sign(handle, DATA, { format: 'der' }).catch(() => undefined);
    await fresh.close?.();
    return signed !== undefined;
  }

  it.each([
    [`before ${STEP}`, 0, false],
    [`after ${STEP}`, 1, false],
    ['generated', 1, true],
    [`before ${STEP}-end`, 1, false],
    [`after ${STEP}-end`, 0, false],
  ])('%s leaves %i rows, and after the next one no key', async (where, rows, leavesKey) => {
    const { deps, clock, alice } = personWorld();
    const { dead, dieAt } = dyingAt(where);
    const made: KeyHandle[] = [];
    const dying: KeyStore = {
      ...store,
      async generate(keyType, options) {
        made.push(await store.generate(keyType, options));
        await dieAt('generated');
        return made[0]!;
      },
    };
    const { backend } = store;
    const asked = { name: backend, keyType: 'ec-p256' };
    const backendTests = pgBackendTestTable(pool);
    const replica = (opened: KeyStore) => ({
      ...deps,
      backends: backendsOf([opened], backend),
      backendTests,
    });
    const left = () => backendTests.begunBefore(backend, clock.now() + 1);

    installFaultHook((step, moment) => dieAt(`${moment} ${step}`));
    void testBackend(replica(dying), asked, alice);
    await dead;
    installFaultHook(undefined);
    expect(await left()).toHaveLength(rows);
    if (leavesKey) expect(await isThere(made[0]!)).toBe(true);

    clock.advance(11 * MINUTE);
    await testBackend(replica(another), asked, alice);
    expect(await left()).toEqual([]);
    for (const handle of made) expect(await isThere(handle)).toBe(false);
  });
});
