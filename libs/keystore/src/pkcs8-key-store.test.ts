import { execFileSync } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { chmod, link, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { draftFile, writeFileDurably } from '@gigvault/files/durable-file';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { SOFTWARE_KEY_TYPES } from './key-algorithm.ts';
import { describeKeyStore } from './key-store.contract.ts';
import { SECRET_KEY_TYPES } from './key-types.ts';
import { createMasterKey, givenMasterKeys, masterKeyFiles, masterKeyOf } from './master-key.ts';
import { pkcs8KeyStore } from './pkcs8-key-store.ts';

const newMasterKeys = () =>
  givenMasterKeys(masterKeyOf(randomBytes(32).toString('base64'), 'the test'));

describeKeyStore('pkcs8', async () => {
  const root = await mkdtemp(join(tmpdir(), 'gigvault-keystore-'));
  return {
    store: pkcs8KeyStore({ directory: join(root, 'keys'), masterKeys: newMasterKeys() }),
    keyTypes: SOFTWARE_KEY_TYPES.filter((keyType) => keyType !== 'rsa-4096'),
    secretKeyTypes: SECRET_KEY_TYPES,
    decrypts: true,
    close: () => rm(root, { recursive: true }),
  };
});

describe('pkcs8 key files', () => {
  let root: string;
  let directory: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'gigvault-keystore-'));
    directory = join(root, 'keys');
  });
  afterAll(() => rm(root, { recursive: true }));

  it('survive the process, with the same master key only', async () => {
    const masterKeys = newMasterKeys();
    const store = pkcs8KeyStore({ directory, masterKeys });
    const handle = await store.generate('ec-p256');
    const publicKey = await store.publicKey(handle);

    const reopened = pkcs8KeyStore({ directory, masterKeys });
    expect((await reopened.publicKey(handle)).equals(publicKey)).toBe(true);
    const stranger = pkcs8KeyStore({ directory, masterKeys: newMasterKeys() });
    await expect(stranger.publicKey(handle)).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
  });

  it('are encrypted, 0600 in a 0700 directory, with nothing left beside them', async () => {
    const masterKeys = newMasterKeys();
    const store = pkcs8KeyStore({ directory, masterKeys });
    const handle = await store.generate('ec-p384');
    const path = join(directory, `${handle}.p8`);

    const pem = await readFile(path, 'utf8');
    expect(pem).toContain('BEGIN ENCRYPTED PRIVATE KEY');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    expect((await readdir(directory)).filter((name) => !name.endsWith('.p8'))).toEqual([]);
    const asn1 = execFileSync('openssl', ['asn1parse', '-in', path], { encoding: 'utf8' });
    expect(asn1).toMatch(/PBES2[\s\S]*PBKDF2[\s\S]*hmacWithSHA256[\s\S]*aes-256-cbc/);
  });

  it('of keys without a public half are JWE, 0600, and open with the same master key only', async () => {
    const masterKeys = newMasterKeys();
    const folder = join(root, 'secrets');
    const { secretKeys } = pkcs8KeyStore({ directory: folder, masterKeys });
    const handle = await secretKeys.generate('aes-256');
    const path = join(folder, `${handle}.jwe`);
    const sealed = await secretKeys.encrypt(handle, Buffer.from('x'), Buffer.alloc(0));

    const [firstLine, jwe = ''] = (await readFile(path, 'utf8')).split('\n');
    expect(firstLine).toBe(`master-key: ${masterKeys.current().id}`);
    const header = jwe.split('.')[0] as string;
    expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toMatchObject({
      alg: 'PBES2-HS512+A256KW',
      enc: 'A256GCM',
    });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual([`${handle}.jwe`]);
    const again = pkcs8KeyStore({ directory: folder, masterKeys }).secretKeys;
    expect(await again.decrypt(handle, sealed, Buffer.alloc(0))).toEqual(Buffer.from('x'));
    const stranger = pkcs8KeyStore({ directory: folder, masterKeys: newMasterKeys() });
    const refused = { code: 'KEY_UNAVAILABLE' };
    await expect(stranger.secretKeys.mac(handle, sealed)).rejects.toMatchObject(refused);
    await writeFile(path, 'not a key');
    const damaged = pkcs8KeyStore({ directory: folder, masterKeys });
    await expect(damaged.secretKeys.mac(handle, sealed)).rejects.toMatchObject(refused);
    await damaged.remove(handle);
    expect(await readdir(folder)).toEqual([]);
  });

  it('that are damaged make the key unavailable, not another key', async () => {
    const masterKeys = newMasterKeys();
    const handle = await pkcs8KeyStore({ directory, masterKeys }).generate('ec-p256');
    await writeFile(join(directory, `${handle}.p8`), 'not a key');
    const store = pkcs8KeyStore({ directory, masterKeys });
    await expect(store.sign(handle, Buffer.from('x'), { format: 'der' })).rejects.toMatchObject({
      code: 'KEY_UNAVAILABLE',
    });
  });

  it('that are removed while they are opened are not in memory afterwards', async () => {
    const masterKeys = newMasterKeys();
    const folder = join(root, 'removed');
    const maker = pkcs8KeyStore({ directory: folder, masterKeys });
    const store = pkcs8KeyStore({ directory: folder, masterKeys });
    const gone = { code: 'KEY_NOT_FOUND' };
    let opened = 0;
    for (let i = 0; i < 20; i++) {
      const handle = await maker.generate('ec-p256');
      const [loaded] = await Promise.allSettled([store.publicKey(handle), store.remove(handle)]);
      if (loaded.status === 'fulfilled') opened += 1;
      else expect(loaded.reason).toMatchObject(gone);
      await expect(store.publicKey(handle)).rejects.toMatchObject(gone);
    }
    expect(opened).toBeGreaterThan(0);
  });

  it('that cannot be written leave no temporary file behind', async () => {
    await expect(writeFileDurably(join(root, 'missing', 'file'), 'x', 0o600)).rejects.toThrow(
      'ENOENT',
    );
    await expect(writeFileDurably(directory, 'x', 0o600)).rejects.toThrow();
    expect((await readdir(root)).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});

describe('master key', () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'gigvault-master-'));
  });
  afterAll(() => rm(root, { recursive: true }));

  it('is made once, 0600, even when many make it at the same time', async () => {
    const path = join(root, 'secrets', 'keymgr-master.key');
    const made = await Promise.all(Array.from({ length: 8 }, () => createMasterKey(path)));
    expect(made.filter(Boolean)).toHaveLength(1);
    const { id, passphrase } = masterKeyFiles(path).current();
    expect(Buffer.from(passphrase.toString(), 'base64')).toHaveLength(32);
    expect(await createMasterKey(path)).toBe(false);
    expect(masterKeyFiles(path).current().id).toBe(id);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(root, 'secrets'))).toEqual(['keymgr-master.key']);
  });

  it('is refused when others may read it, when it is missing, and when it is something else', async () => {
    const path = join(root, 'open.key');
    await createMasterKey(path);
    await chmod(path, 0o640);
    expect(() => masterKeyFiles(path)).toThrow(`chmod 600 ${path}`);
    expect(() => masterKeyFiles(join(root, 'none.key'))).toThrow('Cannot read');
    await writeFileDurably(join(root, 'short.key'), 'c2hvcnQ=\n', 0o600);
    expect(() => masterKeyFiles(join(root, 'short.key'))).toThrow('32 octets');
  });
});

describe('a new master key — covers: T66', () => {
  let root: string;
  let path: string;
  let directory: string;
  const DATA = Buffer.from('data');
  const NOTHING = Buffer.alloc(0);
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'gigvault-rotation-'));
    path = join(root, 'master.key');
    directory = join(root, 'keys');
    await createMasterKey(path);
  });
  afterEach(() => rm(root, { recursive: true }));

  const open = () => pkcs8KeyStore({ directory, masterKeys: masterKeyFiles(path) });

  it('takes over every key while they are used, made and removed; then the old one is gone', async () => {
    const store = open();
    const { masterKeyRotation: rotation, secretKeys } = store;
    const made = await Promise.all(Array.from({ length: 20 }, () => store.generate('ec-p256')));
    const secret = await secretKeys.generate('aes-256');
    const sealed = await secretKeys.encrypt(secret, DATA, NOTHING);
    const old = await rotation.status();
    expect(old).toMatchObject({ earlier: [], keys: 21, keysUnderEarlier: 0 });

    const current = await rotation.begin!(old.current);
    const late = await store.generate('ec-p384');
    expect(await rotation.status()).toEqual({
      current,
      earlier: [old.current],
      keys: 22,
      keysUnderEarlier: 21,
    });
    await expect(rotation.end!()).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(await rotation.rewrapNext(5)).toBe(16);
    // Half of them are under the old one, half under the new one: another process opens all of them.
    const half = open();
    for (const handle of [...made, late]) await half.sign(handle, DATA, { format: 'der' });
    const [removed, ...kept] = made;
    const [left] = await Promise.all([
      rotation.rewrapNext(100),
      store.remove(removed!),
      ...kept.map((handle) => store.sign(handle, DATA, { format: 'der' })),
    ]);
    expect(left).toBe(0);
    await rotation.end!();
    expect(await readdir(root)).toEqual(['keys', 'master.key.2']);
    expect((await stat(`${path}.2`)).mode & 0o777).toBe(0o600);
    expect(await rotation.status()).toMatchObject({ current, earlier: [], keysUnderEarlier: 0 });

    const after = open();
    for (const handle of [...kept, late])
      expect(await after.publicKey(handle)).toEqual(await store.publicKey(handle));
    expect(await after.secretKeys.decrypt(secret, sealed, NOTHING)).toEqual(DATA);
    await expect(after.publicKey(removed!)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
    expect(await createMasterKey(path)).toBe(false);
  });

  it('leaves no draft of a key or a master key of a process that died, so that none outlives what it is of', async () => {
    const first = open();
    const handle = await first.generate('ec-p256');
    const file = join(directory, `${handle}.p8`);
    await draftFile(file, await readFile(file), 0o600);
    await draftFile(`${path}.2`, 'the next', 0o600);
    // As it dies after the name is given, before the draft is taken away.
    const leaveMasterKey = () => link(path, join(root, `.master.key.${randomUUID()}`));
    await leaveMasterKey();
    const store = open();
    expect(await readdir(root)).toEqual(['keys', 'master.key']);
    expect(await readdir(directory)).toEqual([`${handle}.p8`]);

    await leaveMasterKey();
    const rotation = store.masterKeyRotation;
    await rotation.begin!((await rotation.status()).current);
    expect(await rotation.rewrapNext(10)).toBe(0);
    await rotation.end!();
    expect(await readdir(root)).toEqual(['keys', 'master.key.2']);
    await draftFile(file, await readFile(file), 0o600);
    await store.remove(handle);
    expect(await readdir(directory)).toEqual([]);
  });

  it('takes over files that name none, as they were written before', async () => {
    const masterKeys = masterKeyFiles(path);
    const handle = await open().generate('ec-p256');
    const file = join(directory, `${handle}.p8`);
    const named = await readFile(file, 'utf8');
    expect(named).toMatch(new RegExp(`^master-key: ${masterKeys.current().id}\n-----BEGIN ENC`));
    await writeFile(file, named.slice(named.indexOf('\n') + 1));
    const store = open();
    const publicKey = await store.publicKey(handle);
    await store.masterKeyRotation.begin!(masterKeys.current().id);
    expect(await store.masterKeyRotation.rewrapNext(10)).toBe(0);
    await store.masterKeyRotation.end!();
    expect(await open().publicKey(handle)).toEqual(publicKey);
  });

  it('is one, of two who replace the same one at one time, and none for who does so later', async () => {
    const { masterKeyRotation: rotation } = open();
    const { current: first } = await rotation.status();
    const two = await Promise.allSettled([rotation.begin!(first), rotation.begin!(first)]);
    expect(two.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const { current } = await rotation.status();
    expect(current).not.toBe(first);
    const conflict = { code: 'CONFLICT', message: `The master key is ${current} by now.` };
    expect(two.find(({ status }) => status === 'rejected')).toMatchObject({ reason: conflict });
    await expect(rotation.begin!(first)).rejects.toMatchObject(conflict);
    expect(await readdir(root)).toEqual(['keys', 'master.key', 'master.key.2']);
  });

  it('leaves the old one for a key that cannot be opened, and takes over the others', async () => {
    const store = open();
    for (let n = 0; n < 3; n++) await store.generate('ec-p256');
    await store.masterKeyRotation.begin!(masterKeyFiles(path).current().id);
    // Found first, and in a batch of its own.
    const [broken] = await readdir(directory);
    await writeFile(join(directory, broken!), 'not a key');
    expect(await store.masterKeyRotation.rewrapNext(1)).toBe(2);
    expect(await store.masterKeyRotation.rewrapNext(1)).toBe(1);
    for (let n = 0; n < 2; n++)
      await expect(store.masterKeyRotation.rewrapNext(1)).rejects.toMatchObject({
        code: 'KEY_UNAVAILABLE',
        message: expect.stringContaining(broken!),
      });
    expect(await store.masterKeyRotation.status()).toMatchObject({ keysUnderEarlier: 1 });
    await expect(store.masterKeyRotation.end!()).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(await readdir(root)).toEqual(['keys', 'master.key', 'master.key.2']);
  });

  it('that is kept elsewhere takes over as soon as both are given, and is not made here', async () => {
    const [first, second] = [newMasterKeys().current(), newMasterKeys().current()];
    const before = pkcs8KeyStore({ directory, masterKeys: givenMasterKeys(first) });
    const handle = await before.generate('ec-p256');
    expect(before.masterKeyRotation).not.toHaveProperty('begin');
    expect(before.masterKeyRotation).not.toHaveProperty('end');
    const both = pkcs8KeyStore({ directory, masterKeys: givenMasterKeys(second, [first]) });
    expect(await both.masterKeyRotation.rewrapNext(10)).toBe(0);
    const alone = pkcs8KeyStore({ directory, masterKeys: givenMasterKeys(second) });
    expect(await alone.publicKey(handle)).toEqual(await before.publicKey(handle));
  });
});
