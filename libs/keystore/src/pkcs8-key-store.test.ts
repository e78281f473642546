import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeFileDurably } from '@gigvault/files/durable-file';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SOFTWARE_KEY_TYPES } from './key-algorithm.ts';
import { describeKeyStore } from './key-store.contract.ts';
import { SECRET_KEY_TYPES } from './key-types.ts';
import { createMasterKey, readMasterKey } from './master-key.ts';
import { pkcs8KeyStore } from './pkcs8-key-store.ts';

const newMasterKey = () => randomBytes(32).toString('base64');

describeKeyStore('pkcs8', async () => {
  const root = await mkdtemp(join(tmpdir(), 'gigvault-keystore-'));
  return {
    store: pkcs8KeyStore({ directory: join(root, 'keys'), masterKey: newMasterKey() }),
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
    const masterKey = newMasterKey();
    const store = pkcs8KeyStore({ directory, masterKey });
    const handle = await store.generate('ec-p256');
    const publicKey = await store.publicKey(handle);

    const reopened = pkcs8KeyStore({ directory, masterKey });
    expect((await reopened.publicKey(handle)).equals(publicKey)).toBe(true);
    const stranger = pkcs8KeyStore({ directory, masterKey: newMasterKey() });
    await expect(stranger.publicKey(handle)).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
  });

  it('are encrypted, 0600 in a 0700 directory, with nothing left beside them', async () => {
    const masterKey = newMasterKey();
    const store = pkcs8KeyStore({ directory, masterKey });
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
    const masterKey = newMasterKey();
    const folder = join(root, 'secrets');
    const { secretKeys } = pkcs8KeyStore({ directory: folder, masterKey });
    const handle = await secretKeys.generate('aes-256');
    const path = join(folder, `${handle}.jwe`);
    const sealed = await secretKeys.encrypt(handle, Buffer.from('x'), Buffer.alloc(0));

    const header = (await readFile(path, 'utf8')).split('.')[0] as string;
    expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toMatchObject({
      alg: 'PBES2-HS512+A256KW',
      enc: 'A256GCM',
    });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual([`${handle}.jwe`]);
    const again = pkcs8KeyStore({ directory: folder, masterKey }).secretKeys;
    expect(await again.decrypt(handle, sealed, Buffer.alloc(0))).toEqual(Buffer.from('x'));
    const stranger = pkcs8KeyStore({ directory: folder, masterKey: newMasterKey() });
    const refused = { code: 'KEY_UNAVAILABLE' };
    await expect(stranger.secretKeys.mac(handle, sealed)).rejects.toMatchObject(refused);
    await writeFile(path, 'not a key');
    const damaged = pkcs8KeyStore({ directory: folder, masterKey });
    await expect(damaged.secretKeys.mac(handle, sealed)).rejects.toMatchObject(refused);
    await damaged.remove(handle);
    expect(await readdir(folder)).toEqual([]);
  });

  it('that are damaged make the key unavailable, not another key', async () => {
    const masterKey = newMasterKey();
    const handle = await pkcs8KeyStore({ directory, masterKey }).generate('ec-p256');
    await writeFile(join(directory, `${handle}.p8`), 'not a key');
    const store = pkcs8KeyStore({ directory, masterKey });
    await expect(store.sign(handle, Buffer.from('x'), { format: 'der' })).rejects.toMatchObject({
      code: 'KEY_UNAVAILABLE',
    });
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
    const masterKey = readMasterKey(path);
    expect(Buffer.from(masterKey, 'base64')).toHaveLength(32);
    expect(await createMasterKey(path)).toBe(false);
    expect(readMasterKey(path)).toBe(masterKey);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(root, 'secrets'))).toEqual(['keymgr-master.key']);
  });

  it('is refused when others may read it, when it is missing, and when it is something else', async () => {
    const path = join(root, 'open.key');
    await createMasterKey(path);
    await chmod(path, 0o640);
    expect(() => readMasterKey(path)).toThrow(`chmod 600 ${path}`);
    expect(() => readMasterKey(join(root, 'none.key'))).toThrow('Cannot read');
    await writeFileDurably(join(root, 'short.key'), 'c2hvcnQ=\n', 0o600);
    expect(() => readMasterKey(join(root, 'short.key'))).toThrow('32 octets');
  });
});
