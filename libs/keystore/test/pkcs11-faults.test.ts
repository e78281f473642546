import { spawn } from 'node:child_process';
import { createPublicKey, type KeyObject, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '@gigvault/testkit/eventually';
import { type FaultyToken, faultyToken } from '@gigvault/testkit/faulty-token';
import { lives } from '@gigvault/testkit/lives';
import { runOrFail } from '@gigvault/testkit/run-program';
import { TEST_PIN } from '@gigvault/testkit/test-token';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { verifyWith } from '../src/key-algorithm.ts';
import { type KeyHandle, parseKeyHandle } from '../src/key-store.ts';
import {
  type Pkcs11KeyStore,
  type Pkcs11Options,
  pkcs11KeyStore,
} from '../src/pkcs11/pkcs11-key-store.ts';
import { parsePkcs11Uri } from '../src/pkcs11/pkcs11-uri.ts';

const DATA = Buffer.from('to be signed');
const DER = { format: 'der' } as const;
/** Drivers that are killed under load. */
const LIVES = 8;
/** Milliseconds until a token that hangs while it opens is given up, and another one is open. */
const OPENING = 20_000;
/** Milliseconds until keys can be used again, whatever ended the driver: what is promised, and what a busy machine may take. */
const RECOVERY = process.env['FAULTS'] === 'long' ? 2_000 : 20_000;

let token: FaultyToken;
let store: Pkcs11KeyStore;
let handle: KeyHandle;
let publicKey: KeyObject;

beforeAll(async () => {
  token = await faultyToken();
});
afterAll(() => token.remove());

beforeEach(async () => {
  store = open();
  handle = await store.generate('ec-p256');
  const key = await store.publicKey(handle);
  publicKey = createPublicKey({ key, format: 'der', type: 'spki' });
});

afterEach(async () => {
  await store.close();
  await token.mend();
});

function open(more: Partial<Pkcs11Options> = {}): Pkcs11KeyStore {
  const uri = parsePkcs11Uri(token.uri);
  return pkcs11KeyStore({ uri, environment: token.environment, deadline: RECOVERY, ...more });
}

async function signRight(): Promise<void> {
  const signature = await store.sign(handle, DATA, DER);
  expect(await verifyWith(publicKey, DATA, signature, 'der')).toBe(true);
}

/** As somebody else sees them, who is logged in. */
function listPrivateKeys(): Promise<string> {
  const { modulePath } = parsePkcs11Uri(token.uri);
  return runOrFail(
    'pkcs11-tool',
    ['--module', modulePath, '--login', '--pin', TEST_PIN, '--list-objects', '--type', 'privkey'],
    { env: { ...process.env, ...token.environment } },
  );
}

describe('a session that is lost', () => {
  it.each([
    ['CKR_SESSION_HANDLE_INVALID', 'C_SignInit', '0xb3'],
    ['CKR_USER_NOT_LOGGED_IN', 'C_SignInit', '0x101'],
    ['CKR_DEVICE_REMOVED', 'C_Sign', '0x32'],
    ['CKR_TOKEN_NOT_PRESENT', 'C_SignInit', '0xe0'],
    ['CKR_DEVICE_ERROR', 'C_Sign', '0x30'],
  ])('covers: T11. %s: another one signs, in the same process', async (_, name, value) => {
    const pid = store.driverPid();
    await token.fail(name, value);
    await signRight();
    expect(store.driverPid()).toBe(pid);
  });

  it('covers: T11. somebody who logged out: no key is taken for absent, and none is half removed', async () => {
    const [pid, other] = [store.driverPid(), await store.generate('ec-p256')];
    await token.fail('C_FindObjectsInit', 'logout');
    await store.remove(other);
    await expect(store.publicKey(other)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
    expect(await listPrivateKeys()).not.toContain(other.replaceAll('-', ''));
    await token.fail('C_FindObjectsInit', 'logout');
    await signRight();
    await store.check();
    expect(store.driverPid()).toBe(pid);
  });

  it('covers: T11. a key that is not there: not found, however often, and nobody logs in again for it', async () => {
    const logins = await token.logins();
    const pid = store.driverPid();
    const never = parseKeyHandle(randomUUID());
    for (let i = 0; i < 3; i += 1)
      await expect(store.publicKey(never)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
    await store.check();
    expect([await token.logins(), store.driverPid()]).toEqual([logins, pid]);
  });

  it('covers: T11. a device that stays broken: what it says, red, nothing else signs; mended, it signs again', async () => {
    await token.fail('C_Sign', '0x30', 'always');
    await token.fail('C_OpenSession', '0x30', 'always');
    const broken = {
      code: 'KEY_UNAVAILABLE',
      message: expect.stringContaining('CKR_DEVICE_ERROR'),
    };
    for (let i = 0; i < 3; i += 1) {
      await expect(store.sign(handle, DATA, DER)).rejects.toMatchObject(broken);
      await expect(store.check()).rejects.toMatchObject(broken);
    }
    await token.mend();
    const start = performance.now();
    await eventually(signRight, RECOVERY);
    expect(performance.now() - start).toBeLessThan(RECOVERY);
    await store.check();
  });

  it('covers: T11. a token that is taken away: red; it comes back with its keys', async () => {
    const away = `${token.folder}-away`;
    await rename(token.folder, away);
    await expect(store.sign(handle, DATA, DER)).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
    await expect(store.check()).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
    await rename(away, token.folder);
    await eventually(signRight, RECOVERY);
    await store.check();
  });
});

describe('a driver that dies', () => {
  it('covers: T12. in the middle of a signature: another one signs', async () => {
    const pid = store.driverPid();
    await token.fail('C_Sign', 'crash');
    await signRight();
    expect(store.driverPid()).not.toBe(pid);
  });

  it('covers: T12, T66. over the same signature twice: refused, and this process lives; what the library printed is for the log alone', async () => {
    const reports: string[] = [];
    const told = open({ report: (_, message) => reports.push(message) });
    await told.sign(handle, DATA, DER);
    await token.fail('C_Sign', 'crash', 'always');
    await expect(told.sign(handle, DATA, DER)).rejects.toMatchObject({
      code: 'KEY_UNAVAILABLE',
      message: expect.stringMatching(/^The PKCS #11 driver ended \(SIGSEGV\)$/),
    });
    expect(reports).toContain(
      'The PKCS #11 driver ended (SIGSEGV): vendor: config /etc/vendor.conf',
    );
    await token.mend();
    await told.close();
    await eventually(signRight, RECOVERY);
  });

  it('covers: T12. while it makes a key: the key that is there is the answer, and there is one', async () => {
    await token.fail('C_GenerateKeyPair', 'crash');
    const made = await store.generate('ec-p256', { label: 'made-once' });
    expect(await store.publicKey(made)).toHaveLength(91);
    const listed = await listPrivateKeys();
    expect(listed.match(/label: +made-once/g)).toHaveLength(1);
    expect(listed).toContain(made.replaceAll('-', ''));
    expect(listed).toMatch(/Usage: +sign\n/);
    expect(listed).toMatch(/Access: +sensitive, always sensitive, never extractable, local/);
  });

  it('covers: T12. that hangs: too late, killed, and another one signs', async () => {
    await store.close();
    store = open({ deadline: 1_000 });
    await eventually(() => store.check(), RECOVERY);
    const pid = store.driverPid() as number;
    await token.fail('C_Sign', 'hang');
    await expect(store.sign(handle, DATA, DER)).rejects.toMatchObject({
      code: 'KEY_UNAVAILABLE',
      message: expect.stringContaining('in time'),
    });
    await eventually(signRight, RECOVERY);
    await eventually(() => expect(lives(pid)).toBe(false));
  });

  it.each(['C_OpenSession', 'C_Login'])(
    'covers: T12. that hangs in %s, before the token is open: killed, and another one signs',
    async (name) => {
      await store.close();
      store = open({ deadline: 1_000 });
      await token.fail(name, 'hang');
      await expect(store.check()).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
      const pid = store.driverPid() as number;
      await eventually(signRight, OPENING);
      expect(store.driverPid()).not.toBe(pid);
      await eventually(() => expect(lives(pid)).toBe(false));
    },
  );

  it('covers: T12. whose main thread hangs while its parent is killed: it does not stay', async () => {
    const logins = await token.logins();
    await token.fail('C_Login', 'hang');
    const script = join(import.meta.dirname, 'orphaned-parent.ts');
    const parent = spawn(process.execPath, [script, token.uri, JSON.stringify(token.environment)]);
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(line.toString());
    await eventually(async () => expect(await token.logins()).toBeGreaterThan(logins));
    parent.kill('SIGKILL');
    await eventually(() => expect(lives(pid)).toBe(false));
  });

  it('covers: T12. one of whose threads hangs while the others sign: killed, and another one signs', async () => {
    const rsa = await store.generate('rsa-2048');
    await store.close();
    store = open({ deadline: 1_000 });
    await eventually(() => store.check(), RECOVERY);
    const pid = store.driverPid();
    await token.fail('C_Sign', 'hang');
    let over = false;
    const hanging = store.sign(rsa, DATA, DER).finally(() => {
      over = true;
    });
    hanging.catch(() => undefined);
    while (!over) await Promise.allSettled(Array.from({ length: 64 }, signRight));
    await expect(hanging).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
    await eventually(signRight, RECOVERY);
    expect(store.driverPid()).not.toBe(pid);
  });

  it('covers: T12. 300 ms after it was there, again and again, under load: nothing wrong is signed, each is back in time', async () => {
    await store.close();
    const dead: number[] = [];
    const recoveries: number[] = [];
    let signed = 0;
    let refused = 0;
    let died: number | undefined;
    store = open({ report: (event) => void (event === 'opened' && killSoon()) });
    function killSoon(): void {
      void systemClock.sleep(300).then(() => {
        const pid = store.driverPid();
        if (dead.length === LIVES || pid === undefined) return;
        dead.push(pid);
        died = performance.now();
        process.kill(pid, 'SIGKILL');
      });
    }
    async function client(name: number): Promise<void> {
      for (let i = 0; dead.length < LIVES; i += 1) {
        const data = Buffer.from(`${name}/${i}`);
        const asked = performance.now();
        const signature = await store.sign(handle, data, DER).catch((error) => {
          // Two drivers died over it.
          expect(error).toMatchObject({ code: 'KEY_UNAVAILABLE' });
          refused += 1;
        });
        if (signature === undefined) continue;
        expect(await verifyWith(publicKey, data, signature, 'der')).toBe(true);
        signed += 1;
        if (died === undefined || asked < died) continue;
        recoveries.push(performance.now() - died);
        died = undefined;
      }
    }
    await Promise.all(Array.from({ length: 16 }, (_, name) => client(name)));
    const longest = Math.max(...recoveries);
    process.stderr.write(
      `  ${signed} signatures, ${refused} refused, ${dead.length} drivers killed, back after ${longest.toFixed(0)} ms at most\n`,
    );
    expect(new Set(dead).size).toBe(LIVES);
    expect(recoveries.length).toBeGreaterThanOrEqual(LIVES - 1);
    expect(longest).toBeLessThan(RECOVERY);
  }, 90_000);
});

describe('a signature that is wrong', () => {
  it('covers: T13. is not given out', async () => {
    const wrong = { code: 'KEY_UNAVAILABLE', message: expect.stringContaining('wrong signature') };
    await token.fail('C_Sign', 'wrong');
    await expect(store.sign(handle, DATA, DER)).rejects.toMatchObject(wrong);
    await token.fail('C_Sign', 'wrong');
    const signing = await store.startSignature(handle, DER);
    signing.update(DATA);
    await expect(signing.sign()).rejects.toMatchObject(wrong);
    await signRight();
  });
});

describe('a PIN', () => {
  it('covers: T11. that is wrong is tried once, and red until the store is opened anew', async () => {
    await store.close();
    await token.mend();
    await writeFile(token.pinFile, '000000\n');
    store = open();
    const refused = {
      code: 'KEY_UNAVAILABLE',
      message: expect.stringMatching(/^(?!.*000000).*PIN is wrong.*CKR_PIN_INCORRECT/),
    };
    for (let i = 0; i < 3; i += 1) await expect(store.check()).rejects.toMatchObject(refused);
    expect(await token.logins()).toBe(1);
    await writeFile(token.pinFile, `${TEST_PIN}\n`);
    await expect(store.check()).rejects.toMatchObject(refused);
    expect(await token.logins()).toBe(1);
    await store.close();
    store = open();
    await store.check();
  });

  it('covers: T11. that was changed meanwhile is tried once, by however many calls that find themselves logged out', async () => {
    const logins = await token.logins();
    await token.fail('C_Login', '0xa0', 'always');
    await token.fail('C_FindObjectsInit', 'logout');
    const calls = Array.from({ length: 20 }, () => store.remove(parseKeyHandle(randomUUID())));
    for (const outcome of await Promise.allSettled(calls))
      expect(outcome).toMatchObject({ reason: { code: 'KEY_UNAVAILABLE' } });
    await expect(store.check()).rejects.toMatchObject({
      message: expect.stringContaining('CKR_PIN_INCORRECT'),
    });
    expect((await token.logins()) - logins).toBe(1);
  });

  it.each([
    ['CKR_PIN_LOCKED', '0xa4'],
    ['CKR_PIN_EXPIRED', '0xa3'],
  ])('covers: T11. of which the token says %s is not tried again', async (name, value) => {
    await store.close();
    await token.mend();
    await token.fail('C_Login', value, 'always');
    store = open();
    const refused = { code: 'KEY_UNAVAILABLE', message: expect.stringContaining(name) };
    await expect(store.check()).rejects.toMatchObject(refused);
    await expect(store.sign(handle, DATA, DER)).rejects.toMatchObject(refused);
    expect(await token.logins()).toBe(1);
  });

  it('covers: T66. stands in no argument and no environment, and the driver sees nothing of ours', async () => {
    const pid = store.driverPid();
    const [command, environment] = await Promise.all(
      ['cmdline', 'environ'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8')),
    );
    expect(command).not.toContain(TEST_PIN);
    expect(environment).not.toContain(TEST_PIN);
    expect(environment).toContain('SOFTHSM2_CONF=');
    expect(environment).not.toMatch(/(^|\0)(PATH|NODE_OPTIONS)=/);
    expect(await readFile(`/proc/${pid}/coredump_filter`, 'utf8')).toMatch(/^0+$/m);
  });

  it('covers: T66. in a file that others may read is not used', async () => {
    await store.close();
    await runOrFail('chmod', ['644', token.pinFile]);
    store = open();
    await expect(store.check()).rejects.toMatchObject({
      message: expect.stringContaining(`chmod 600 ${token.pinFile}`),
    });
    await runOrFail('chmod', ['600', token.pinFile]);
    await eventually(() => store.check(), RECOVERY);
  });
});

describe('two keys under one id', () => {
  it('are neither: nobody knows which one a certificate names', async () => {
    const { modulePath } = parsePkcs11Uri(token.uri);
    const id = ['--id', handle.replaceAll('-', ''), '--label', 'another'];
    await runOrFail(
      'pkcs11-tool',
      [
        '--module',
        modulePath,
        '--login',
        '--pin',
        TEST_PIN,
        '--keypairgen',
        '--key-type',
        'EC:prime256v1',
        ...id,
      ],
      { env: { ...process.env, ...token.environment } },
    );
    await store.close();
    store = open();
    await expect(store.sign(handle, DATA, DER)).rejects.toMatchObject({
      code: 'KEY_UNAVAILABLE',
      message: expect.stringContaining('Several keys'),
    });
  });
});

describe('calls', () => {
  it('beyond what may wait are turned away', async () => {
    await store.close();
    store = open({ queue: 8 });
    await store.check();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, () => store.sign(handle, DATA, DER)),
    );
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThanOrEqual(8);
    expect(refused[0]).toMatchObject({ reason: { code: 'KEY_UNAVAILABLE', retryAfter: 1 } });
    await signRight();
  });

  it('to a store that is closed are refused, and its driver is gone', async () => {
    const pid = store.driverPid() as number;
    const pending = store.sign(handle, DATA, DER).catch((error: unknown) => error);
    await store.close();
    expect(await pending).toMatchObject({ code: 'KEY_UNAVAILABLE' });
    expect(lives(pid)).toBe(false);
    await expect(store.check()).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
  });
});
