import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '@gigvault/testkit/eventually';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { keymgrConfig } from '../src/keymgr.config.ts';
import { keymgrService } from '../src/keymgr.module.ts';
import { type Keymgr, openKeymgr, prepareMasterKey } from '../src/open-keymgr.ts';
import { quietContext } from './quiet-context.ts';

/** Milliseconds: what is refused without asking the database takes less, what asks one that hangs takes the 5 s of a connection at least. */
const AT_ONCE = 1_000;
const RECOVERY = 2_000;
/** Longer than a call to a database that hangs. */
const PATIENCE = 60_000;

let database: TestDatabase;
let dataDir: string;
let pool: Pool;
let keymgr: Keymgr;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'gigvault-hung-'));
  database = await startTestDatabase();
  pool = await database.pool('keymgr', keymgrService.migrations);
  const config = keymgrConfig.parse({});
  await prepareMasterKey(config, dataDir);
  keymgr = await openKeymgr(quietContext({ config, dataDir, database: pool }));
});
afterAll(async () => {
  await keymgr?.close();
  await database?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

const find = () => keymgr.keys.keys.find('no-such-key');

/** Milliseconds until it is refused. */
async function refusedAfter(call: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await expect(call()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  return performance.now() - begun;
}

/** Each of the ports that requests wait for. */
const CALLS: readonly (() => Promise<unknown>)[] = [
  find,
  () => keymgr.signing.signatures.close(crypto.randomUUID(), 'ca'),
  () => keymgr.signing.usage.refused({ keyId: 'a', purpose: 'jwtSign', caller: 'ca' }, 'a test'),
  () => keymgr.backendTests.begunBefore('files', 0),
  () =>
    keymgr.events.append({
      type: 'backend.tested',
      actor: 'user:a',
      subject: 'files',
      data: {},
    }),
];

describe.each([20, 1])('a database that hangs, asked by %i at a time', (clients) => {
  it(
    'is not asked any more, but by one call, and again within 2 s when it answers — covers: P19, T7',
    async () => {
      expect(await find()).toBeUndefined();
      const goOn = database.pause();
      try {
        await eventually(async () => {
          const times = await Promise.all(
            Array.from({ length: clients }, () => refusedAfter(find)),
          );
          // All but one that tries.
          expect(times.filter((time) => time > AT_ONCE).length).toBeLessThanOrEqual(1);
        }, PATIENCE);
        // The one that tries may be one of these.
        await eventually(async () => {
          for (const call of CALLS) expect(await refusedAfter(call)).toBeLessThan(AT_ONCE);
        }, PATIENCE);
        goOn();
        await eventually(find, RECOVERY);
      } finally {
        goOn();
      }
    },
    2 * PATIENCE,
  );
});
