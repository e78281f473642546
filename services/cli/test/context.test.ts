import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { fingerprintOf } from '../src/context/selected-context.ts';
import { API, startFakeServer } from './fake-server.ts';
import { createTestMachine } from './test-terminal.ts';
import { useCli } from './use-cli.ts';

const TOKEN = `gv_setup_${'A'.repeat(43)}`;

const cli = useCli();

describe('the server', () => {
  it('that is not there: exit 9 with what to do', async () => {
    const run = await cli.machine.run('whoami --server https://localhost:1');
    expect(run.code).toBe(3);
    await cli.machine.writeContexts('local', {
      local: { server: 'https://localhost:1', caFile: 'root.crt', apiKey: 'k' },
    });
    const gone = await cli.machine.run('whoami');
    expect(gone.code).toBe(9);
    expect(gone.err).toMatchInlineSnapshot(`
"error: cannot reach the server https://localhost:1             GV-UNAVAILABLE
  ✖ nothing listens there
  try   npm run up              (start it on this machine)
        gigvault context show   (where the command looks)
  more  https://docs.gigvault.dev/errors/GV-UNAVAILABLE
"
`);
  });

  it('that is somebody else is not talked to: only the context’s CA is trusted', async () => {
    const other = await startFakeServer();
    await cli.machine.writeContexts('local', {
      local: { server: other.url, caFile: 'root.crt', apiKey: 'gv_key_good' },
    });
    const run = await cli.machine.run('whoami');
    expect(run.code).toBe(9);
    expect(run.err).toContain('not the one that the context trusts');
    expect(other.requests).toEqual([]);
    await other.stop();
  });

  it('never gets the credential of another one', async () => {
    const other = await startFakeServer();
    await writeFile(join(cli.machine.cwd, 'other.crt'), other.authority.root);
    const run = await cli.machine.run(`whoami --server ${other.url} --ca-file other.crt`);
    expect(run.code).toBe(3);
    expect(other.requests).toEqual([]);
    await other.stop();
  });

  it('that takes too long is given up', async () => {
    const { createServer } = await import('node:net');
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as { port: number };
    await cli.machine.writeContexts('local', {
      local: { server: `https://localhost:${port}`, caFile: 'root.crt', apiKey: 'k' },
    });
    const run = await cli.machine.run('whoami --timeout 1s');
    expect(run.code).toBe(9);
    expect(run.err).toContain('no answer within 1 s');
    silent.close();
  });

  it('over plain HTTP is refused', async () => {
    const run = await cli.machine.run('whoami --server http://localhost:8080');
    expect(run.code).toBe(2);
  });

  it('is pinned by the root’s fingerprint', async () => {
    const pinned = fingerprintOf(cli.server.authority.root);
    const local = { server: cli.server.url, caFile: 'root.crt', apiKey: 'gv_key_good' };
    const colons = `SHA256 ${pinned.toUpperCase().replace(/..(?=.)/g, '$&:')}`;
    await cli.machine.writeContexts('local', { local: { ...local, rootFingerprint: colons } });
    expect((await cli.machine.run('whoami')).code).toBe(0);
    await cli.machine.writeContexts('local', {
      local: { ...local, rootFingerprint: pinned.replace(/.$/, (d) => (d === '0' ? '1' : '0')) },
    });
    expect((await cli.machine.run('whoami')).code).toBe(10);
  });
});

describe('contexts', () => {
  it('are listed and shown without the credential, and chosen', async () => {
    await cli.machine.writeContexts('local', {
      local: {
        server: cli.server.url,
        caFile: 'root.crt',
        apiKey: 'gv_key_secret',
        environment: 'development',
      },
      prod: { server: 'https://pki.example', environment: 'production' },
    });
    for (const line of [
      'context list',
      'context show',
      'context list -o json',
      'context show local -o yaml',
    ])
      expect((await cli.machine.run(line)).out).not.toContain('gv_key_secret');
    expect((await cli.machine.run('context list -q')).out).toBe('local\nprod\n');
    expect((await cli.machine.run('context use prod')).code).toBe(0);
    expect((await cli.machine.run('context show -q')).out).toBe('prod\n');
    expect((await cli.machine.run('context use nowhere')).code).toBe(5);
    expect((await cli.machine.run('whoami --context nowhere')).code).toBe(5);
    expect(await cli.modeOf('contexts.yaml')).toBe(0o600);
    const file = parse(await readFile(join(cli.machine.config, 'contexts.yaml'), 'utf8'));
    expect(file.contexts.local.apiKey).toBe('gv_key_secret');
  });

  it('that others could read are closed', async () => {
    await chmod(join(cli.machine.config, 'contexts.yaml'), 0o644);
    await cli.machine.run('context list');
    expect(await cli.modeOf('contexts.yaml')).toBe(0o600);
  });

  it('are renamed with their files, and removed with them', async () => {
    cli.server.apiKeys.add('gv_key_new');
    cli.server.routes[`POST ${API}/setup`] = () => ({
      status: 201,
      body: { userId: 'u2', name: 'ada', roles: ['admin'], apiKey: 'gv_key_new' },
    });
    expect((await cli.machine.run(`setup ${TOKEN}`)).code).toBe(0);
    expect((await cli.machine.run('whoami')).code).toBe(0);
    expect((await cli.machine.run('context rename ada@local me')).out).toBe(
      '✔ Renamed  ada@local → me\n',
    );
    expect((await cli.machine.run('context list -q')).out).toBe('local\nme\n');
    expect((await cli.machine.run('whoami -o json')).out).toContain('"context": "me"');
    expect(await readdir(join(cli.machine.config, 'contexts'))).toEqual(['me']);
    expect(await cli.modeOf('contexts', 'me', 'api-key')).toBe(0o600);
    expect(await cli.modeOf('contexts', 'me')).toBe(0o700);

    expect((await cli.machine.run('context remove me')).code).toBe(2);
    expect((await cli.machine.run('context remove me --yes')).out).toMatchInlineSnapshot(`
"✔ Removed  me
  next      gigvault context use <name>
"
`);
    expect(await readdir(join(cli.machine.config, 'contexts'))).toEqual([]);
    expect((await cli.machine.run('context remove me --yes')).code).toBe(5);
    expect((await cli.machine.run('whoami')).code).toBe(0);
  });

  it('do not take a name that is taken, and `up` keeps its own', async () => {
    const context = { server: cli.server.url, caFile: 'root.crt', apiKey: 'k' };
    await cli.machine.writeContexts('a', { a: context, b: context, local: context });
    expect((await cli.machine.run('context rename a b')).code).toBe(6);
    expect((await cli.machine.run('context rename x c')).code).toBe(5);
    for (const line of ['a ../c', 'local c', 'a local-8443'])
      expect((await cli.machine.run(`context rename ${line}`)).code).toBe(2);
    const production = { ...context, environment: 'production' } as const;
    await cli.machine.writeContexts('a', { a: production });
    const terminal = { stdinIsTty: true, ask: () => Promise.resolve('yes') };
    expect((await cli.machine.run('context remove a', terminal)).code).toBe(130);
    const typed = { stdinIsTty: true, ask: () => Promise.resolve('a') };
    expect((await cli.machine.run('context remove a', typed)).code).toBe(0);
  });

  it('are asked for when none is chosen', async () => {
    await cli.machine.writeContexts('', { a: { server: cli.server.url } });
    const run = await cli.machine.run('whoami');
    expect(run.code).toBe(3);
    expect(run.err).toContain('known: a\n  try   gigvault context use <name>');
  });

  it.each([
    ['--ca-file broken.crt', 'broken.crt holds no certificate in PEM form'],
    ['--ca-file nothing.crt', 'nothing.crt: it does not exist'],
    ['--ca-file .', 'work: it is a folder'],
  ])('whose CA cannot be read: %s', async (flag, message) => {
    await writeFile(join(cli.machine.cwd, 'broken.crt'), 'hello');
    const run = await cli.machine.run(`status ${flag}`);
    expect(run).toMatchObject({ code: 2, out: '' });
    expect(run.err).toContain(message);
    expect(run.err).toContain('try   gigvault status --ca-file root.crt   (');
  });

  it('lie where XDG_CONFIG_HOME says', async () => {
    const run = await cli.machine.run('context list -q', {
      env: { XDG_CONFIG_HOME: join(cli.machine.home, 'elsewhere') },
    });
    expect(run.out).toBe('');
  });

  it.each([
    'current: [',
    'hello',
    'current: a\ncontexts: {a: 1}',
    'current: a\ncontexts: {../../x: {server: https://x}}',
  ])('that are not what they should be are refused: %j', async (text) => {
    await writeFile(join(cli.machine.config, 'contexts.yaml'), text);
    expect((await cli.machine.run('context list')).code).toBe(2);
  });

  it('that do not exist at all say how to get one', async () => {
    const fresh = await createTestMachine();
    const run = await fresh.run('cert list');
    expect(run.code).toBe(3);
    expect(run.err).toMatchInlineSnapshot(`
"error: There is no context: this machine does not know a GigVault server.  GV-UNAUTHENTICATED
  try   npm run up                                                     (start one on this machine)
        gigvault setup <token> --server https://… --ca-file root.crt   (join one)
  more  https://docs.gigvault.dev/errors/GV-UNAUTHENTICATED
"
`);
    await fresh.remove();
  });
});
