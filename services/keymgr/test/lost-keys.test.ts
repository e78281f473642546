import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Operation } from '@gigvault/http/route';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { systemClock } from '@gigvault/time/clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { keyRoutes } from '../src/api/http.ts';
import { KEYSTORE_METHODS } from '../src/api/keystore-methods.ts';
import { keymgrConfig } from '../src/keymgr.config.ts';
import { keymgrService } from '../src/keymgr.module.ts';
import { type Keymgr, openKeymgr, prepareMasterKey } from '../src/open-keymgr.ts';
import { person, WAIT } from './person.ts';
import { quietContext } from './quiet-context.ts';

const config = keymgrConfig.parse({ backends: { scratch: { type: 'memory' } } });
const alice = person('alice');
let dataDir: string;
let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'gigvault-lost-keys-'));
  database = await startTestDatabase();
  pool = await database.pool('keymgr', keymgrService.migrations);
  await prepareMasterKey(config, dataDir);
});
afterAll(async () => {
  await database?.stop();
  await rm(dataDir, { recursive: true });
});

/** A process, until it ends. */
function start(): Promise<Keymgr> {
  return openKeymgr(quietContext({ config, dataDir, database: pool }));
}

function depsOf({ keys, encryptions, events, backendTests }: Keymgr) {
  const clockGuard = createClockGuard(systemClock);
  const destruction = { destructionWait: WAIT, destructionApprovals: 0 };
  return { ...keys, encryptions, events, backendTests, clockGuard, ...destruction };
}

async function ask(keymgr: Keymgr, operationId: string, keyId: string, body: object = {}) {
  const routes = keyRoutes(depsOf(keymgr)) as Operation[];
  const { handle } = routes.find((route) => route.operationId === operationId)!;
  const request = { params: { keyId }, query: { limit: 50, cursor: '' }, body, headers: {} };
  return (await handle({ ...request, principal: alice } as never)).body;
}

const SIGN = { data: Buffer.from('to be signed').toString('base64'), format: 'der' };
const ENCRYPT = { plaintext: SIGN.data, additionalData: '' };

it('keys in memory are lost after a restart: shown as that, refused as that, and rotated', async () => {
  const first = await start();
  const make = (keyId: string, keyType: string, more: object = {}) =>
    ask(first, 'generateKey', keyId, { keyId, keyType, backend: 'scratch', ...more });
  expect(await make('pair', 'ec-p256')).not.toHaveProperty('lost');
  await make('box', 'rsa-2048', { usage: 'encrypt' });
  await make('mac', 'hmac-sha256');
  await make('seal', 'aes-256');
  const signed = (await ask(first, 'signData', 'pair', SIGN)) as { signature: string };
  const { ciphertext } = (await ask(first, 'encryptData', 'box', ENCRYPT)) as {
    ciphertext: string;
  };
  const { rows } = await pool.query<{ handle: string }>('SELECT handle FROM key');
  expect(rows).toHaveLength(4);
  await first.close();

  const second = await start();
  const shown = await ask(second, 'getKey', 'pair');
  expect(shown).toMatchObject({ state: 'active', lost: true, versions: [{ lost: true }] });
  const { items } = (await ask(second, 'listKeys', '')) as { items: readonly object[] };
  expect(items).toEqual(Array(4).fill(expect.objectContaining({ lost: true })));
  const byGrpc = await KEYSTORE_METHODS.getKey.run(depsOf(second), { keyId: 'pair' }, alice);
  expect(byGrpc).toMatchObject({ lost: true, versions: [{ lost: true }] });

  for (const [operationId, keyId, body] of [
    ['signData', 'pair', SIGN],
    ['signData', 'mac', SIGN],
    ['encryptData', 'seal', ENCRYPT],
    ['encryptData', 'box', ENCRYPT],
    ['decryptData', 'box', { ciphertext, additionalData: '' }],
  ] as const) {
    const error = await ask(second, operationId, keyId, body).then(
      () => undefined,
      (cause: Error) => cause,
    );
    expect(error).toMatchObject({
      code: 'KEY_LOST',
      message: expect.stringContaining("not in its backend 'scratch' any more"),
    });
    for (const { handle } of rows) expect(error!.message).not.toContain(handle);
  }
  expect(await ask(second, 'verifySignature', 'pair', { ...SIGN, ...signed })).toMatchObject({
    valid: true,
  });
  const rotated = await ask(second, 'rotateKey', 'pair');
  expect(rotated).toMatchObject({ version: 2 });
  expect(rotated).not.toHaveProperty('lost');
  expect(await ask(second, 'signData', 'pair', SIGN)).toMatchObject({ version: 2 });
  expect(await ask(second, 'getKey', 'pair')).toMatchObject({
    versions: [expect.not.objectContaining({ lost: true }), { version: 1, lost: true }],
  });
  await second.close();
}, 60_000);
