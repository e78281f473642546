import { verifyWith } from '@gigvault/keystore/key-algorithm';
import { secretResolver } from '@gigvault/secrets/secret-resolver';
import { secretsConfig } from '@gigvault/secrets/secrets.config';
import { silentLog } from '@gigvault/telemetry/log';
import { runOrFail } from '@gigvault/testkit/run-program';
import { softHsmToken } from '@gigvault/testkit/softhsm-token';
import { TEST_PIN, type TestToken } from '@gigvault/testkit/test-token';
import { readPublicKey } from '@gigvault/x509/public-key';
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { backendJson } from '../api/http-backends.ts';
import { backendsOf } from '../backends/backends.ts';
import { inspectBackend } from '../backends/inspect-backends.ts';
import { keymgrConfig } from '../keymgr.config.ts';
import { type Closeable, openBackend } from './open-backend.ts';

const LIBRARY = '/usr/lib/softhsm/libsofthsm2.so';
const secrets = secretResolver(secretsConfig.parse({}), { HSM_PIN: TEST_PIN, EMPTY_PIN: ' ' });
let token: TestToken;
let store: Closeable | undefined;

beforeAll(async () => {
  token = await softHsmToken({ label: 'pki' });
  Object.assign(process.env, token.environment);
});
afterEach(() => store?.close?.());
afterAll(async () => {
  for (const name of Object.keys(token.environment)) delete process.env[name];
  await token.remove();
});

async function slotId(): Promise<number> {
  const stdout = await runOrFail('softhsm2-util', ['--show-slots'], { env: process.env });
  return Number(/^Slot (\d+)/m.exec(stdout)?.[1]);
}

it.each([
  ['file:///nowhere/pin', 'The secret file:///nowhere/pin is not there.'],
  ['env://NO_PIN', 'The secret env://NO_PIN is not there.'],
  ['env://EMPTY_PIN', 'The secret env://EMPTY_PIN is empty.'],
])(
  'a PIN that cannot be had from %s is an unavailable key, and its place is told',
  async (pin, said) => {
    const written = { type: 'pkcs11', library: LIBRARY, pin, token: 'pki' };
    const { hsm } = keymgrConfig.parse({ backends: { hsm: written } }).backends;
    store = await openBackend('hsm', hsm!, { log: silentLog, secrets, dataDir: '/nonexistent' });
    await expect(store.generate('ec-p256')).rejects.toMatchObject({
      code: 'KEY_UNAVAILABLE',
      message: expect.stringContaining(said),
    });
  },
);

it.each([
  ['slot', async () => ({ slotId: await slotId() })],
  ['label', async () => ({ token: 'pki' })],
  ['both', async () => ({ token: 'pki', slotId: await slotId() })],
])(
  'a token is found by library and %s, its PIN in a variable — covers: K141, X12',
  async (_, which) => {
    const written = { type: 'pkcs11', library: LIBRARY, pin: 'env://HSM_PIN', ...(await which()) };
    const { hsm } = keymgrConfig.parse({ backends: { hsm: written } }).backends;
    store = await openBackend('hsm', hsm!, { log: silentLog, secrets, dataDir: '/nonexistent' });
    const handle = await store.generate('ec-p256');
    const data = Buffer.from('to be signed');
    const signature = await store.sign(handle, data, { format: 'der' });
    const { keyObject } = readPublicKey(await store.publicKey(handle));
    expect(await verifyWith(keyObject, data, signature, 'der')).toBe(true);
  },
);

it.each([
  ['pkcs11', { type: 'pkcs11', library: LIBRARY, pin: 'env://HSM_PIN', token: 'other' }],
  ['tpm2', { type: 'tpm2', modulePath: LIBRARY, pin: 'env://HSM_PIN', token: 'other' }],
])(
  'one of type %s that is not well is shown with its type and its name',
  async (type, written) => {
    const { away } = keymgrConfig.parse({ backends: { away: written } }).backends;
    store = await openBackend('away', away!, { log: silentLog, secrets, dataDir: '/nonexistent' });
    const shown = backendJson(
      await inspectBackend({ backends: backendsOf([store], 'away') }, 'away'),
    );
    expect(shown).toMatchObject({ name: 'away', type, healthy: false });
    expect(shown.problem).toMatch(/^Backend 'away': (?!.*Look at)/);
  },
  60_000,
);
