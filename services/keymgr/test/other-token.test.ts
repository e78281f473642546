import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pkcs11KeyStore } from '@gigvault/keystore/pkcs11/pkcs11-key-store';
import { parsePkcs11Uri } from '@gigvault/keystore/pkcs11/pkcs11-uri';
import { eventually } from '@gigvault/testkit/eventually';
import { replaceSoftHsmToken, softHsmToken } from '@gigvault/testkit/softhsm-token';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import type { TestToken } from '@gigvault/testkit/test-token';
import { guardedKeysIn } from '@gigvault/testkit/token-objects';
import { systemClock } from '@gigvault/time/clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { createCaKey } from '../src/ca-keys/create-ca-key.ts';
import { generateUserKey } from '../src/creation/generate-key.ts';
import { destroyDueKeys } from '../src/destruction/destroy-due-keys.ts';
import { scheduleDestruction } from '../src/destruction/schedule-destruction.ts';
import { keymgrConfig } from '../src/keymgr.config.ts';
import { keymgrService } from '../src/keymgr.module.ts';
import { getKey } from '../src/keys/find-keys.ts';
import { type Keymgr, openKeymgr } from '../src/open-keymgr.ts';
import { sign } from '../src/signing/sign.ts';
import { signForPerson } from '../src/signing/sign-for-person.ts';
import { person } from './person.ts';
import { quietContext } from './quiet-context.ts';
import { ISSUER, leafTbs } from './signing-fixture.ts';

const alice = person('alice');
const PATIENCE = 60_000;
const unavailable = (message: RegExp) => ({
  code: 'KEY_UNAVAILABLE',
  message: expect.stringMatching(message),
});

let token: TestToken;
let database: TestDatabase;
let pool: Pool;
let dataDir: string;

beforeEach(async () => {
  token = await softHsmToken({ label: 'pki' });
  // What keymgr's driver reads.
  Object.assign(process.env, token.environment);
  dataDir = await mkdtemp(join(tmpdir(), 'gigvault-other-token-'));
  database = await startTestDatabase();
  pool = await database.pool('keymgr', keymgrService.migrations);
}, PATIENCE);
afterEach(async () => {
  await database?.stop();
  await token?.remove();
  await rm(dataDir, { recursive: true });
});

async function open() {
  const hsm = { type: 'pkcs11', uri: token.uri };
  const config = keymgrConfig.parse({ backend: 'hsm', backends: { hsm } });
  const keymgr: Keymgr = await openKeymgr(quietContext({ config, dataDir, database: pool }));
  const { keys, encryptions } = keymgr;
  const deps = {
    ...keys,
    encryptions,
    clockGuard: createClockGuard(systemClock),
    destructionWait: 0,
    destructionApprovals: 0,
  };
  return {
    keymgr,
    hsm: keys.backends.of('hsm'),
    make: (keyId: string) => generateUserKey(deps, { keyId, keyType: 'ec-p256' }, alice),
    sign: (keyId: string) =>
      signForPerson(deps, keyId, { data: Buffer.from('to be signed'), format: 'der' }, alice),
    destroy: (keyId: string) => scheduleDestruction(deps, keyId, alice),
    destroyDue: () => destroyDueKeys(deps, new AbortController().signal),
    state: async (keyId: string) => (await getKey(deps, keyId)).state,
  };
}

/** As with the vendor's tool. */
async function removeBehindBack(handle: string): Promise<void> {
  const { uri, environment } = token;
  const store = pkcs11KeyStore({ uri: parsePkcs11Uri(uri), environment });
  await store.remove(handle as never).finally(() => store.close());
}

it(
  'with keys of people: one that is gone is lost, all gone are another token, in which nothing is made or destroyed; the database may be away — covers: T11',
  async () => {
    const world = await open();
    const [gone] = [await world.make('gone'), await world.make('kept'), await world.make('due')];
    await removeBehindBack(gone.handle);
    await expect(world.sign('gone')).rejects.toMatchObject({ code: 'KEY_LOST' });
    await world.hsm.check();

    const putBack = await replaceSoftHsmToken(token, 'pki');
    const other = unavailable(
      /token 'pki' .+ holds none of the keys .+ as that of 'due' and 2 more: .+ another/,
    );
    await eventually(() => expect(world.hsm.check()).rejects.toMatchObject(other));
    await expect(world.hsm.facts()).rejects.toMatchObject(other);
    await expect(world.sign('kept')).rejects.toMatchObject(other);
    await expect(world.make('more')).rejects.toMatchObject(other);
    await world.destroy('due');
    expect(await world.destroyDue()).toBe(0);
    expect(await guardedKeysIn(token, 'pki')).toEqual([]);

    await putBack();
    await eventually(() => world.hsm.check());
    await world.sign('kept');
    expect(await world.destroyDue()).toBe(1);
    expect(await world.state('due')).toBe('destroyed');
    expect(await guardedKeysIn(token, 'pki')).toHaveLength(1);

    await pool.end();
    await world.hsm.check();
    await expect(world.hsm.generate('ec-p256')).rejects.toThrow();
    expect(await guardedKeysIn(token, 'pki')).toHaveLength(1);
    await world.keymgr.close();
  },
  PATIENCE,
);

it(
  'with keys of services: each of them must be there, for them and for others — covers: T11',
  async () => {
    const first = await open();
    const { handle } = await createCaKey(first.keymgr.keys, {
      keyId: 'ca-issuing',
      keyType: 'ec-p256',
      subject: ISSUER,
    });
    await first.make('kept');
    await first.keymgr.close();

    const world = await open();
    await world.hsm.check();
    await removeBehindBack(handle);
    const lacks = unavailable(/token 'pki' .+ (lacks the key|as that) of 'ca-issuing'/);
    const request = { keyId: 'ca-issuing', purpose: 'certSign', tbs: leafTbs() };
    const intentId = crypto.randomUUID();
    await expect(sign(world.keymgr.signing, { ...request, intentId }, 'ca')).rejects.toMatchObject(
      lacks,
    );
    await eventually(() => expect(world.hsm.check()).rejects.toMatchObject(lacks));
    await expect(world.make('more')).rejects.toMatchObject(lacks);
    await world.sign('kept');
    await world.keymgr.close();
  },
  PATIENCE,
);
