import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { API, problem } from './fake-server.ts';
import { useCli } from './use-cli.ts';

const cli = useCli();

const last = () => cli.server.requests.at(-1);

// covers: G70
describe('key', () => {
  const KEY = {
    keyId: 'my-key',
    keyType: 'ec-p384',
    version: 1,
    publicKey: '-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n',
    state: 'active',
    createdAt: '2026-11-21T11:00:00.000Z',
    owner: 'user:u1',
    purposes: [],
    backend: 'pkcs8',
  };

  it('generate and list', async () => {
    cli.server.routes[`POST ${API}/keys`] = () => ({ status: 201, body: KEY });
    cli.server.routes[`GET ${API}/keys`] = () => ({
      status: 200,
      body: { items: [KEY], nextCursor: '' },
    });
    expect(
      (await cli.machine.run('key generate my-key --key-type ec-p384')).out,
    ).toMatchInlineSnapshot(`
"✔ Generated  my-key   ec-p384   active   backend pkcs8
-----BEGIN PUBLIC KEY-----
AA==
-----END PUBLIC KEY-----
"
`);
    expect(last()?.body).toEqual({ keyId: 'my-key', keyType: 'ec-p384' });
    expect((await cli.machine.run('key list')).out).toMatchInlineSnapshot(`
"NAME    TYPE     VERSION  STATE   BACKEND  OWNER  PURPOSES  CREATED
my-key  ec-p384  1        active  pkcs8    ada    -         2026-11-21
"
`);
  });

  it('generate makes a key for later', async () => {
    cli.server.routes[`POST ${API}/keys`] = ({ body }) => ({
      status: 201,
      body: { ...KEY, ...(body as object) },
    });
    const run = await cli.machine.run('key generate my-key --pre-active');
    expect(run.out).toContain('✔ Generated  my-key   ec-p256   pre-active');
    expect(last()?.body).toEqual({ keyId: 'my-key', keyType: 'ec-p256', state: 'pre-active' });
  });

  it('generate exits 6 when the name is taken and 2 for what the server finds wrong, with each fact', async () => {
    cli.server.routes[`POST ${API}/keys`] = () =>
      problem(409, 'ALREADY_EXISTS', "Key 'my-key' exists already.");
    const taken = await cli.machine.run('key generate my-key');
    expect(taken.code).toBe(6);
    expect(taken.err).toContain('try   gigvault key list');
    const message = '1 to 255 letters, digits and dashes';
    cli.server.routes[`POST ${API}/keys`] = () =>
      problem(400, 'INVALID_ARGUMENT', `/keyId: ${message}`, [
        { pointer: '/keyId', code: 'INVALID_ARGUMENT', message },
      ]);
    const run = await cli.machine.run(['key', 'generate', 'my key']);
    expect(run.code).toBe(2);
    expect(run.err).toMatchInlineSnapshot(`
"error: Invalid request                                         GV-INVALID-ARGUMENT
  ✖ <name>   1 to 255 letters, digits and dashes
  try   gigvault key generate --help
  more  https://docs.gigvault.dev/errors/GV-INVALID-ARGUMENT      trace 4bf92f3577b34da6a3ce929d0e0e4736
"
`);
  });

  it('list takes a state, get shows the versions', async () => {
    const waiting = { ...KEY, state: 'deactivated', destroyAt: '2026-11-28T11:00:00.000Z' };
    cli.server.routes[`GET ${API}/keys`] = () => ({ status: 200, body: { items: [waiting] } });
    expect((await cli.machine.run('key list --state deactivated')).out).toContain(
      'deactivated, to be destroyed on 2026-11-28',
    );
    const listed = cli.server.requests.findLast(({ route }) => route === `GET ${API}/keys`);
    expect(listed?.query.get('state')).toBe('deactivated');
    expect((await cli.machine.run('key list --state odd')).code).toBe(2);
    const versions = [2, 1].map((version) => ({ ...KEY, version }));
    cli.server.routes[`GET ${API}/keys/my-key`] = () => ({
      status: 200,
      body: { ...KEY, version: 2, versions },
    });
    expect((await cli.machine.run('key get my-key')).out).toMatchInlineSnapshot(`
"key       my-key
type      ec-p384
usage     sign
state     active
owner     ada
created   2026-11-21
VERSION  BACKEND  CREATED
2        pkcs8    2026-11-21
1        pkcs8    2026-11-21
"
`);
    expect((await cli.machine.run('key get my-key -o pem')).out).toBe(KEY.publicKey);
  });

  it('rotate, disable, enable and restore say what the key is now', async () => {
    const asked: unknown[] = [];
    cli.server.routes[`POST ${API}/keys/my-key/rotate`] = ({ body }) => {
      asked.push(body);
      return { status: 200, body: { ...KEY, version: 2 } };
    };
    const done = 'Rotated  my-key   version 2';
    expect((await cli.machine.run('key rotate my-key')).out).toContain(done);
    expect((await cli.machine.run('key rotate my-key --key-version 1')).out).toContain(done);
    expect(asked).toEqual([{}, { version: 1 }]);
    const bodies: unknown[] = [];
    cli.server.routes[`POST ${API}/keys/my-key/state`] = ({ body }) => {
      bodies.push(body);
      return { status: 200, body: { ...KEY, ...(body as object) } };
    };
    const disable = ['key', 'disable', 'my-key', '--reason', 'lost laptop'];
    expect((await cli.machine.run(disable)).out).toBe('✔ Disabled  my-key   suspended\n');
    expect((await cli.machine.run('key enable my-key')).out).toBe('✔ Enabled  my-key   active\n');
    const compromised = 'key disable my-key --as compromised';
    expect((await cli.machine.run(compromised)).code).toBe(2);
    expect((await cli.machine.run(`${compromised} --yes`)).code).toBe(0);
    expect(bodies).toEqual([
      { state: 'suspended', reason: 'lost laptop' },
      { state: 'active', reason: '' },
      { state: 'compromised', reason: '' },
    ]);
    cli.server.routes[`POST ${API}/keys/my-key/restore`] = () => ({ status: 200, body: KEY });
    expect((await cli.machine.run('key restore my-key')).out).toBe('✔ Restored  my-key   active\n');
  });

  it('destroy asks, and says until when it can be undone', async () => {
    const body = { ...KEY, state: 'deactivated', destroyAt: '2026-11-28T11:00:00.000Z' };
    cli.server.routes[`DELETE ${API}/keys/my-key`] = () => ({ status: 200, body });
    const hesitant = await cli.machine.run('key destroy my-key');
    expect([hesitant.code, hesitant.err]).toEqual([2, expect.stringContaining('--yes')]);
    const run = await cli.machine.run('key destroy my-key --yes');
    expect(run.out).toBe('✔ Disabled  my-key   deactivated, to be destroyed on 2026-11-28\n');
    expect(run.err).toContain('gigvault key restore my-key');
  });

  it('sign prints the signature alone; verify takes it back, and exits 10 when it is another', async () => {
    await writeFile(join(cli.machine.cwd, 'release.bin'), Buffer.of(0, 255, 10));
    const signature = Buffer.of(0x30, 0x03, 0x02, 0x01, 0x07);
    const base64 = signature.toString('base64');
    const signed = {
      keyId: 'my-key',
      version: 2,
      algorithm: 'ecdsa-with-SHA384',
      signature: base64,
    };
    cli.server.routes[`POST ${API}/keys/my-key/sign`] = () => ({ status: 200, body: signed });
    const run = await cli.machine.run('key sign my-key release.bin');
    expect(run.out).toBe(`${base64}\n`);
    expect(run.err).toContain('ecdsa-with-SHA384 by version 2');
    expect(last()?.body).toEqual({ data: 'AP8K', format: 'der' });

    await writeFile(join(cli.machine.cwd, 'release.sig'), run.out);
    await writeFile(join(cli.machine.cwd, 'release.der'), signature);
    cli.server.routes[`POST ${API}/keys/my-key/verify`] = () => ({
      status: 200,
      body: { valid: true, version: 1, state: 'suspended' },
    });
    for (const file of ['release.sig', 'release.der']) {
      const verified = await cli.machine.run(`key verify my-key release.bin --signature ${file}`);
      expect(verified.out).toBe('✔ Verified  by version 1 of my-key, a key that is suspended\n');
      expect(last()?.body).toEqual({ data: 'AP8K', signature: base64, format: 'der' });
    }
    cli.server.routes[`POST ${API}/keys/my-key/verify`] = () => ({
      status: 200,
      body: { valid: false, state: 'active' },
    });
    const wrong = 'key verify my-key release.bin --signature release.sig --key-version 1';
    const refused = await cli.machine.run(wrong);
    expect([refused.code, refused.err]).toEqual([
      10,
      expect.stringContaining('GV-SIGNATURE-NOT-VERIFIED'),
    ]);
    expect(last()?.body).toMatchObject({ version: 1 });
    expect((await cli.machine.run('key sign my-key nothing.bin')).code).toBe(2);
  });

  it('create makes keys of every type; encrypt and decrypt, with additional data and into a file', async () => {
    const { publicKey: _none, ...secret } = { ...KEY, keyType: 'aes-256', usage: 'encrypt' };
    cli.server.routes[`POST ${API}/keys`] = () => ({ status: 201, body: secret });
    const made = await cli.machine.run('key create my-key --type aes-256 --backend pkcs8');
    expect(made.out).toBe('✔ Generated  my-key   aes-256   active   backend pkcs8\n');
    expect(last()?.body).toEqual({ keyId: 'my-key', keyType: 'aes-256', backend: 'pkcs8' });
    await cli.machine.run('key create my-key --key-type rsa-2048 --usage encrypt');
    expect(last()?.body).toMatchObject({ keyType: 'rsa-2048', usage: 'encrypt' });
    expect((await cli.machine.run('key create my-key --type dsa')).code).toBe(2);

    const { cwd } = cli.machine;
    await writeFile(join(cwd, 'secret.bin'), Buffer.of(0, 255, 10));
    await writeFile(join(cwd, 'for-whom'), 'bob');
    const ciphertext = Buffer.of(1, 0, 0, 0, 1, 9, 200).toString('base64');
    const algorithm = 'AES-256-GCM';
    cli.server.routes[`POST ${API}/keys/my-key/encrypt`] = () => ({
      status: 200,
      body: { keyId: 'my-key', version: 1, algorithm, ciphertext },
    });
    const run = await cli.machine.run('key encrypt my-key secret.bin --additional-data for-whom');
    expect([run.out, run.err]).toEqual([`${ciphertext}\n`, expect.stringContaining(algorithm)]);
    expect(last()?.body).toEqual({ plaintext: 'AP8K', additionalData: 'Ym9i' });

    await writeFile(join(cwd, 'secret.enc'), run.out);
    cli.server.routes[`POST ${API}/keys/my-key/decrypt`] = () => ({
      status: 200,
      body: { keyId: 'my-key', version: 1, plaintext: 'AP8K' },
    });
    expect((await cli.machine.run('key decrypt my-key secret.enc')).out).toBe('AP8K\n');
    expect(last()?.body).toEqual({ ciphertext });
    const intoFile = 'key decrypt my-key secret.enc --out plain.bin';
    expect((await cli.machine.run(intoFile)).out).toBe('✔ Decrypted  plain.bin\n');
    const plain = join(cwd, 'plain.bin');
    expect(await readFile(plain)).toEqual(Buffer.of(0, 255, 10));
    expect((await stat(plain)).mode & 0o777).toBe(0o600);
    expect((await cli.machine.run(intoFile)).code).toBe(6);
    expect((await cli.machine.run(`${intoFile} --force`)).code).toBe(0);
  });
});

describe('backends master-key', () => {
  it.each([
    [3, ['1b77e0c29a4d5e03'], '5 of 8 under it', 'goes on; earlier ones that lie in files'],
    [0, ['1b77e0c29a4d5e03'], '8 of 8 under it', 'remove it from the configuration'],
    [0, [], '8 of 8 under it', undefined],
  ])(
    'with %i keys under the earlier ones %j',
    async (keysUnderEarlier, earlier, keys, rotation) => {
      const body = { current: '5f0c3a9be1d24776', earlier, keys: 8, keysUnderEarlier };
      cli.server.routes[`GET ${API}/backends/pkcs8/master-key`] = () => ({ status: 200, body });
      const { out } = await cli.machine.run('backends master-key pkcs8');
      expect(out).toContain(keys);
      if (rotation === undefined) expect(out).not.toContain('rotation');
      else expect(out).toContain(rotation);
    },
  );
});
