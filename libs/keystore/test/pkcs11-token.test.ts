import { fork } from 'node:child_process';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '@gigvault/testkit/eventually';
import { lives } from '@gigvault/testkit/lives';
import { runOrFail, runProgram } from '@gigvault/testkit/run-program';
import { addSoftHsmToken, softHsmToken } from '@gigvault/testkit/softhsm-token';
import { type SwtpmToken, swtpmToken } from '@gigvault/testkit/swtpm-token';
import { TEST_PIN, type TestToken } from '@gigvault/testkit/test-token';
import { CONFINED, guardedKeysIn } from '@gigvault/testkit/token-objects';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { parseKeyHandle } from '../src/key-store.ts';
import { type Pkcs11KeyStore, pkcs11KeyStore } from '../src/pkcs11/pkcs11-key-store.ts';
import { parsePkcs11Uri } from '../src/pkcs11/pkcs11-uri.ts';

const stores: Pkcs11KeyStore[] = [];

afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
});

function open({ uri, environment }: TestToken, change: (uri: string) => string = (same) => same) {
  const store = pkcs11KeyStore({ uri: parsePkcs11Uri(change(uri)), environment, deadline: 20_000 });
  stores.push(store);
  return store;
}

function unavailable(message: RegExp): object {
  return { code: 'KEY_UNAVAILABLE', message: expect.stringMatching(message) };
}

describe('which token', () => {
  let token: TestToken;
  beforeAll(async () => {
    token = await softHsmToken({ label: 'one' });
  });
  afterAll(() => token.remove());

  it('one that is not there: says which are', async () => {
    const store = open(token, (uri) => uri.replace('token=one', 'token=other'));
    const why =
      /No token is what the URI says.*'one' \(SoftHSM v2, serial \w+\), slot-id \d+; one that is not initialised/;
    await expect(store.check()).rejects.toMatchObject(unavailable(why));
  });

  it('one that is not initialised: stays as it is', async () => {
    const store = open(token, (uri) => uri.replace('token=one', 'token='));
    const why = /not initialised; do that with the vendor’s tool/;
    await expect(store.check()).rejects.toMatchObject(unavailable(why));
  });

  it('a ciphertext that is wrong costs no session and no driver, however many come', async () => {
    const store = open(token);
    const { secretKeys } = store;
    const handle = await secretKeys.generate('aes-256');
    const nothing = Buffer.alloc(0);
    const sealed = await secretKeys.encrypt(handle, Buffer.from('x'), nothing);
    const driver = store.driverPid();
    const wrong = Array.from({ length: 20 }, () =>
      secretKeys.decrypt(handle, Buffer.from(sealed).fill(7, 12), nothing),
    );
    for (const outcome of await Promise.allSettled(wrong))
      expect(outcome).toMatchObject({ reason: { code: 'DECRYPTION_FAILED' } });
    expect(await secretKeys.decrypt(handle, sealed, nothing)).toEqual(Buffer.from('x'));
    expect(store.driverPid()).toBe(driver);
  });

  it('one whose keys are all sensitive, not extractable, and hidden from who is not logged in — covers: G91', async () => {
    const own = await softHsmToken({ label: 'confined' });
    const store = open(own);
    for (const keyType of ['ec-p256', 'rsa-2048', 'ed25519'] as const)
      await store.generate(keyType);
    await store.secretKeys.generate('aes-256');
    await store.secretKeys.generate('hmac-sha256');
    const all = ['Private', 'Private', 'Private', 'Secret', 'Secret'];
    const keys = await guardedKeysIn(own, 'confined');
    expect(keys.sort()).toEqual(all.map((kind) => `${kind}: ${CONFINED}`));
    // CKA_PRIVATE.
    expect(await guardedKeysIn(own, 'confined', '')).toEqual([]);
    await store.close();
    await own.remove();
  });

  it('a key that was brought into it under an id of ours is not taken for one', async () => {
    const handle = parseKeyHandle(randomUUID());
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const files = {
      privkey: privateKey.export({ type: 'sec1', format: 'der' }),
      pubkey: publicKey.export({ type: 'spki', format: 'der' }),
    };
    const { modulePath } = parsePkcs11Uri(token.uri);
    for (const [kind, der] of Object.entries(files)) {
      const file = join(token.folder, '..', `${kind}.der`);
      await writeFile(file, der);
      const object = ['--write-object', file, '--type', kind, '--id', handle.replaceAll('-', '')];
      await runOrFail(
        'pkcs11-tool',
        ['--module', modulePath, '--token-label', 'one', '--login', '--pin', TEST_PIN, ...object],
        { env: { ...process.env, ...token.environment } },
      );
    }
    const store = open(token);
    const brought = /may be known elsewhere \(alwaysSensitive,neverExtractable,local\)/;
    await expect(store.generate('ec-p256', { handle })).rejects.toMatchObject(unavailable(brought));
    // It is somebody's: it stays.
    expect(await store.publicKey(handle)).toEqual(files.pubkey);
  });

  it('one that has a name in the configuration: errors say it and the token, and where to look', async () => {
    const named = {
      uri: parsePkcs11Uri(token.uri),
      environment: token.environment,
      backend: 'pki',
    };
    const store = pkcs11KeyStore(named);
    stores.push(store);
    const keyTypes = (await store.facts()).keyTypes.join(', ');
    await expect(store.generate('ml-dsa-44')).rejects.toMatchObject({
      code: 'OPERATION_NOT_SUPPORTED',
      message: expect.stringMatching(
        `^Backend 'pki': token 'one' .* makes no keys of type ml-dsa-44\\. It makes ${keyTypes}\\. Look at: gigvault backends info pki$`,
      ),
      details: { backend: 'pki' },
    });
    const other = pkcs11KeyStore({
      ...named,
      uri: parsePkcs11Uri(token.uri.replace('token=one', 'token=other')),
      deadline: 20_000,
    });
    stores.push(other);
    const why = "Backend 'pki': No token is what the URI says";
    const look = 'Look at: gigvault backends info pki';
    await expect(other.check()).rejects.toMatchObject({
      code: 'KEY_UNAVAILABLE',
      message: expect.stringMatching(`^${why}(?!.*Look at)`),
    });
    await expect(other.generate('ec-p256')).rejects.toMatchObject({
      code: 'KEY_UNAVAILABLE',
      retryAfter: 1,
      message: expect.stringMatching(`^${why}.*${look}$`),
    });
  });

  it('two of the same name: wants more to be said, and takes it', async () => {
    await addSoftHsmToken(token, 'one');
    const failed = (await open(token)
      .check()
      .catch((error: unknown) => error)) as Error;
    expect(failed).toMatchObject(unavailable(/Several tokens.*add serial or slot-id/));
    const [, serial, slot] = /serial (\w+)\), slot-id (\d+)/.exec(failed.message) as string[];
    await open(token, (uri) => uri.replace('token=one', `token=one;serial=${serial}`)).check();
    await open(token, (uri) => uri.replace('token=one', `slot-id=${slot}`)).check();
  });

  it('a library that is not there: says so at once, each time', async () => {
    const lost: string[] = [];
    const uri = parsePkcs11Uri(token.uri.replace('libsofthsm2.so', 'none.so'));
    const store = pkcs11KeyStore({ uri, report: (_, message) => void lost.push(message) });
    stores.push(store);
    for (let calls = 1; calls <= 3; calls += 1) {
      await expect(store.check()).rejects.toMatchObject(unavailable(/^Cannot load .*none\.so/));
      expect(lost).toHaveLength(calls);
    }
  });
});

describe('a mechanism that is missing', () => {
  it('covers: T11. is named; keys of other kinds go on, and no software key takes its place', async () => {
    const token = await softHsmToken();
    const before = open(token);
    const old = await before.generate('ec-p256');
    await before.close();
    await appendFile(
      token.environment['SOFTHSM2_CONF'] as string,
      'slots.mechanisms = CKM_RSA_PKCS_KEY_PAIR_GEN,CKM_RSA_PKCS\n',
    );
    const store = open(token);
    await expect(store.generate('ec-p256')).rejects.toMatchObject({
      code: 'OPERATION_NOT_SUPPORTED',
      message: expect.stringMatching(/no keys of type ec-p256\. It makes rsa-2048/),
    });
    await expect(store.sign(old, Buffer.from('x'), { format: 'der' })).rejects.toMatchObject({
      code: 'OPERATION_NOT_SUPPORTED',
      message: expect.stringMatching(/^token 'gigvault' .* cannot do that: CKR_MECHANISM_INVALID/),
    });
    const rsa = await store.generate('rsa-2048');
    expect(await store.sign(rsa, Buffer.from('x'), { format: 'der' })).toHaveLength(256);
    await store.close();
    await token.remove();
  });
});

describe('a TPM 2.0', () => {
  let token: TestToken;
  beforeAll(async () => {
    token = await swtpmToken();
  });
  afterAll(() => token.remove());

  it('covers: T11. that locked itself after wrong PINs is red, and nobody tries on', async () => {
    const { modulePath } = parsePkcs11Uri(token.uri);
    await writeFile(token.pinFile, '000000\n');
    const wrong = open(token);
    for (let i = 0; i < 5; i += 1) {
      await expect(wrong.check()).rejects.toMatchObject(unavailable(/CKR_PIN_INCORRECT/));
    }
    await writeFile(token.pinFile, `${TEST_PIN}\n`);
    // The right one: that was one try, not five, so it is not locked yet.
    await open(token).check();
    const attempt = ['--module', modulePath, '--login', '--pin', '000000', '-O'];
    for (let i = 0; i < 5; i += 1) {
      await runProgram('pkcs11-tool', attempt, { env: { ...process.env, ...token.environment } });
    }
    await expect(open(token).check()).rejects.toMatchObject(unavailable(/CKR_PIN_LOCKED/));
  }, 60_000);
});

// A token of its own: a TPM counts each loss of power as a wrong PIN.
describe('a TPM 2.0 that goes away', () => {
  let token: SwtpmToken;
  beforeAll(async () => {
    token = await swtpmToken();
  });
  afterAll(() => token.remove());

  it('covers: T11. is red though nobody signs, and no key is taken for absent; then it signs again', async () => {
    const store = open(token);
    const handle = await store.generate('ec-p256');
    const sign = () => store.sign(handle, Buffer.from('x'), { format: 'der' });
    await sign();
    await store.check();
    await token.takeAway();
    await expect(store.check()).rejects.toMatchObject(
      unavailable(/^token 'gigvault' .*said CKR_GENERAL_ERROR/),
    );
    for (let i = 0; i < 4; i += 1)
      await expect(sign()).rejects.toMatchObject(unavailable(/CKR_GENERAL_ERROR/));
    await token.bringBack();
    await eventually(sign);
    await store.check();
  }, 60_000);

  it('covers: T11. and is back before anybody sees it: signs again', async () => {
    const store = open(token);
    const handle = await store.generate('ec-p256');
    await token.takeAway();
    await token.bringBack();
    await eventually(() => store.sign(handle, Buffer.from('x'), { format: 'der' }));
    await store.check();
  }, 60_000);
});

describe('the driver', () => {
  it('covers: T12. ends with the process that started it', async () => {
    const token = await softHsmToken();
    const folder = await mkdtemp(join(tmpdir(), 'gigvault-parent-'));
    const program = join(folder, 'parent.ts');
    const place = (file: string) =>
      fileURLToPath(new URL(`../src/pkcs11/${file}`, import.meta.url));
    await writeFile(
      program,
      `import { pkcs11KeyStore } from '${place('pkcs11-key-store.ts')}';
       import { parsePkcs11Uri } from '${place('pkcs11-uri.ts')}';
       const uri = parsePkcs11Uri('${token.uri}');
       const store = pkcs11KeyStore({ uri, environment: ${JSON.stringify(token.environment)} });
       await store.check();
       process.send(store.driverPid());`,
    );
    const parent = fork(program, { execArgv: ['--disable-warning=ExperimentalWarning'] });
    const [pid] = (await once(parent, 'message')) as [number];
    expect(lives(pid)).toBe(true);
    parent.kill('SIGKILL');
    await eventually(() => expect(lives(pid)).toBe(false));
    await token.remove();
    await rm(folder, { recursive: true });
  });
});
