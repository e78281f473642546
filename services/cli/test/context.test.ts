import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clientAuthority } from '@gigvault/testkit/client-authority';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { fingerprintOf } from '../src/context/selected-context.ts';
import { API, problem, startFakeServer } from './fake-server.ts';
import { createTestMachine } from './test-terminal.ts';
import { useCli } from './use-cli.ts';

const TOKEN = `gv_setup_${'A'.repeat(43)}`;

const cli = useCli();

beforeEach(() => {
  cli.server.expireTokens();
});

const exchanges = () =>
  cli.server.requests.filter((request) => request.route === `POST ${API}/token`).length;
const modeOf = async (...path: string[]) =>
  (await stat(join(cli.machine.config, ...path))).mode & 0o777;

// covers: C52, C56
describe('access tokens', () => {
  it('are exchanged once and kept for their owner only', async () => {
    expect((await cli.machine.run('whoami')).code).toBe(0);
    expect((await cli.machine.run('whoami')).code).toBe(0);
    expect(exchanges()).toBe(1);
    expect(await modeOf('contexts', 'local', 'access-token.json')).toBe(0o600);
    expect(await modeOf('contexts', 'local')).toBe(0o700);
  });

  it('are renewed shortly before they expire', async () => {
    await cli.machine.run('whoami');
    cli.machine.clock.advance(869_000);
    await cli.machine.run('whoami');
    expect(exchanges()).toBe(1);
    cli.machine.clock.advance(2_000);
    expect((await cli.machine.run('whoami')).code).toBe(0);
    expect(exchanges()).toBe(2);
  });

  it('that the server refuses are renewed once, and no more than once', async () => {
    await cli.machine.run('whoami');
    cli.server.expireTokens();
    expect((await cli.machine.run('whoami')).code).toBe(0);
    expect(exchanges()).toBe(2);
    const refusing = `GET ${API}/keys`;
    cli.server.routes[refusing] = () =>
      problem(401, 'UNAUTHENTICATED', 'The access token is invalid.');
    expect((await cli.machine.run('key list')).code).toBe(3);
    expect(cli.server.requests.filter((request) => request.route === refusing)).toHaveLength(2);
  });

  it('are not used for another API key', async () => {
    await cli.machine.run('whoami');
    cli.server.apiKeys.add('gv_key_other');
    await cli.machine.run('whoami', { env: { GIGVAULT_API_KEY: 'gv_key_other' } });
    expect(exchanges()).toBe(2);
  });

  it('are not given for a wrong key: exit 3, with what to do', async () => {
    const run = await cli.machine.run('whoami', { env: { GIGVAULT_API_KEY: 'gv_key_wrong' } });
    expect(run).toMatchObject({ code: 3, out: '' });
    expect(run.err).toMatchInlineSnapshot(`
"error: The API key is not valid.                               GV-UNAUTHENTICATED
  try   npm run up               (renews this machine's context)
        gigvault setup <token>   (redeem a one-use token)
  more  https://docs.gigvault.dev/errors/GV-UNAUTHENTICATED      trace 4bf92f3577b34da6a3ce929d0e0e4736
"
`);
  });

  it('are done without where the server can sign none: the API key says who asks', async () => {
    const exchange = `POST ${API}/token`;
    const { [exchange]: sign } = cli.server.routes;
    cli.server.routes[exchange] = () =>
      problem(503, 'KEY_UNAVAILABLE', 'The token said CKR_GENERAL_ERROR.');
    expect(await cli.machine.run('whoami')).toMatchObject({ code: 0 });
    cli.server.routes[exchange] = sign!;
    const kept = stat(join(cli.machine.config, 'contexts', 'local', 'access-token.json'));
    await expect(kept).rejects.toThrow('ENOENT');
  });

  it('survive a broken file', async () => {
    await cli.machine.run('whoami');
    await writeFile(join(cli.machine.config, 'contexts', 'local', 'access-token.json'), '{');
    expect((await cli.machine.run('whoami')).code).toBe(0);
  });
});

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

// covers: P7
describe('a client certificate', () => {
  const people = clientAuthority();
  const ada = people.issue({ commonName: 'ada' });
  const place = async (file: string, text: string, folder = cli.machine.cwd) =>
    writeFile(join(folder, file), text, { mode: 0o600 });
  const shown = () => cli.server.requests.at(-1);

  beforeEach(async () => {
    await place('ada.pem', ada.cert);
    await place('ada.key', ada.key);
    await place('both.pem', ada.cert + ada.key);
    await place('other.key', people.issue({ commonName: 'ada' }).key);
  });

  it('is shown beside the token, and only when it is asked for', async () => {
    for (const flags of ['--cert ada.pem --key ada.key', '--cert both.pem']) {
      expect((await cli.machine.run(`whoami ${flags}`)).code).toBe(0);
      const authorization = expect.stringMatching(/^Bearer t/);
      expect(shown()).toMatchObject({ client: 'ada', authorization });
    }
    const env = { GIGVAULT_CERT: 'ada.pem', GIGVAULT_KEY: 'ada.key' };
    expect((await cli.machine.run('whoami', { env })).code).toBe(0);
    expect(shown()?.client).toBe('ada');
    expect((await cli.machine.run('whoami')).code).toBe(0);
    expect(shown()?.client).toBeUndefined();
  });

  it('says who asks where there is no API key', async () => {
    const local = { server: cli.server.url, caFile: 'root.crt' };
    await cli.machine.writeContexts('local', { local });
    expect((await cli.machine.run('whoami')).code).toBe(3);
    expect((await cli.machine.run('whoami --cert both.pem')).code).toBe(0);
    expect(cli.server.requests).toMatchObject([{ client: 'ada', authorization: undefined }]);
  });

  it('is kept by the context of who was set up with it, and shown to its server alone', async () => {
    cli.server.apiKeys.add('gv_key_new');
    cli.server.routes[`POST ${API}/setup`] = () => ({
      status: 201,
      body: { userId: 'u2', name: 'ada', roles: ['admin'], apiKey: 'gv_key_new' },
    });
    const line = `setup ${TOKEN} --cert ada.pem --key ada.key`;
    expect((await cli.machine.run(line)).code).toBe(0);
    expect((await cli.machine.run('whoami')).code).toBe(0);
    expect(shown()?.client).toBe('ada');
    const other = await startFakeServer();
    await place('other.crt', other.authority.root);
    const env = { GIGVAULT_API_KEY: 'gv_key_good' };
    const away = `whoami --server ${other.url} --ca-file other.crt`;
    expect((await cli.machine.run(away, { env })).code).toBe(0);
    expect(other.requests.map(({ client }) => client)).toEqual([undefined, undefined]);
    await other.stop();
  });

  it.each([
    ['--key ada.key', '--key is of no use without its certificate'],
    ['--cert ada.pem', 'ada.pem holds no private key without a passphrase'],
    ['--cert ada.key --key ada.key', 'ada.key holds no certificate in PEM form'],
    ['--cert ada.pem --key other.key', 'other.key holds another key than that of'],
    ['--cert ada.pem --key nothing.key', 'nothing.key: it does not exist'],
  ])('is refused before anything is asked: %s', async (flags, message) => {
    const run = await cli.machine.run(`whoami ${flags}`);
    expect([run.code, run.out, run.err]).toEqual([2, '', expect.stringContaining(message)]);
    expect(cli.server.requests).toEqual([]);
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
    expect(await modeOf('contexts.yaml')).toBe(0o600);
    const file = parse(await readFile(join(cli.machine.config, 'contexts.yaml'), 'utf8'));
    expect(file.contexts.local.apiKey).toBe('gv_key_secret');
  });

  it('that others could read are closed', async () => {
    await chmod(join(cli.machine.config, 'contexts.yaml'), 0o644);
    await cli.machine.run('context list');
    expect(await modeOf('contexts.yaml')).toBe(0o600);
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
    expect(await modeOf('contexts', 'me', 'api-key')).toBe(0o600);
    expect(await modeOf('contexts', 'me')).toBe(0o700);

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

// covers: X20
describe('setup', () => {
  beforeEach(() => {
    cli.server.apiKeys.add('gv_key_new');
    cli.server.routes[`POST ${API}/setup`] = ({ body }) => ({
      status: 201,
      body: { userId: 'u2', name: body.name ?? 'admin', roles: ['admin'], apiKey: 'gv_key_new' },
    });
  });

  it('signs the person in, in a context beside the machine’s own', async () => {
    const run = await cli.machine.run(`setup ${TOKEN} --name grace`);
    expect(run.code).toBe(0);
    expect(run.out).toMatchInlineSnapshot(`
"✔ Signed in  grace   admin
  context   grace@local   (the current one from now on)
  check     gigvault whoami
"
`);
    expect(run.out + run.err).not.toContain('gv_key_new');
    expect(cli.server.requests[0]?.body).toEqual({ token: TOKEN, name: 'grace' });
    expect(await modeOf('contexts', 'grace@local', 'api-key')).toBe(0o600);
    const file = parse(await readFile(join(cli.machine.config, 'contexts.yaml'), 'utf8'));
    expect(file.current).toBe('grace@local');
    expect(file.contexts.local.apiKey).toBe('gv_key_good');
    expect(file.contexts['grace@local'].rootFingerprint).toBe(
      fingerprintOf(cli.server.authority.root),
    );
    expect((await cli.machine.run('whoami')).code).toBe(0);
  });

  it('joins a server that the machine did not know', async () => {
    const fresh = await createTestMachine();
    await writeFile(join(fresh.cwd, 'root.crt'), cli.server.authority.root);
    expect(
      (await fresh.run(`setup ${TOKEN} --server ${cli.server.url} --ca-file root.crt`)).code,
    ).toBe(0);
    expect((await fresh.run('context list -q')).out).toBe('admin@localhost\n');
    expect((await fresh.run('whoami')).code).toBe(0);
    await fresh.remove();
  });

  it('tells a machine that cannot trust the server how to, without the token', async () => {
    const fresh = await createTestMachine();
    const run = await fresh.run(`setup ${TOKEN} --server ${cli.server.url}`);
    expect(run.code).toBe(9);
    expect(run.err).toContain('is not trusted here: there is no root for it');
    expect(run.err).toContain(
      `gigvault setup gv_setup_… --server ${cli.server.url} --ca-file root.crt`,
    );
    expect(run.err).not.toContain(TOKEN);
    await fresh.remove();
  });

  it('takes the link that `up` prints', async () => {
    const run = await cli.machine.run(`setup ${cli.server.url}/setup#t=${TOKEN}`);
    expect(run.code).toBe(0);
    expect(cli.server.requests[0]?.body).toEqual({ token: TOKEN });
  });

  it('refuses what is no token, and tells what the server refuses', async () => {
    expect((await cli.machine.run('setup gv_setup_short')).code).toBe(2);
    expect(cli.server.requests).toEqual([]);
    cli.server.routes[`POST ${API}/setup`] = () =>
      problem(
        401,
        'UNAUTHENTICATED',
        'The setup token is not valid: it is wrong, used or expired.',
      );
    const run = await cli.machine.run(`setup ${TOKEN}`);
    expect(run.code).toBe(3);
    expect(run.err).toContain('The setup token is not valid');
    expect(run.err).toContain('try   gigvault user invite <name>');
    expect((await cli.machine.run('context list -q')).out).toBe('local\n');
  });
});

describe('status', () => {
  it('tells the server, the caller and the root', async () => {
    const run = await cli.machine.run('status -o json');
    expect(JSON.parse(run.out)).toMatchObject({
      context: 'local',
      ready: true,
      version: '9.9.9',
      user: 'ada',
      root: { notAfter: '2049-01-01T00:00:00.000Z' },
    });
    expect((await cli.machine.run('status')).out).toContain('status   ✔ ready\n');
  });

  it('works for who is not signed in, and exits 9 when the server is not ready', async () => {
    await cli.machine.writeContexts('local', {
      local: { server: cli.server.url, caFile: 'root.crt' },
    });
    cli.server.routes['GET /ready'] = () => ({ status: 503, body: { status: 'unavailable' } });
    const run = await cli.machine.run('status');
    expect(run.code).toBe(9);
    expect(run.out).toContain('not signed in');
    cli.server.routes['GET /ready'] = () => ({ status: 200, body: { status: 'ok' } });
  });
});
