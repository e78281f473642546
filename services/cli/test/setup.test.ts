import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { fingerprintOf } from '../src/context/selected-context.ts';
import { API, problem } from './fake-server.ts';
import { createTestMachine } from './test-terminal.ts';
import { useCli } from './use-cli.ts';

const TOKEN = `gv_setup_${'A'.repeat(43)}`;

const cli = useCli();

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
    expect(await cli.modeOf('contexts', 'grace@local', 'api-key')).toBe(0o600);
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

  it('replaces a context only when that is what is wanted, and asks before the token is used up', async () => {
    await cli.machine.run(`setup ${TOKEN} --name ada`);
    const key = join(cli.machine.config, 'contexts', 'ada@local', 'api-key');
    await writeFile(key, 'gv_key_of_ada\n');
    const before = await readFile(join(cli.machine.config, 'contexts.yaml'), 'utf8');
    cli.server.requests.length = 0;
    const line = `--context ada@local setup ${TOKEN} --name kim`;
    const mute = await cli.machine.run(line);
    expect([mute.code, mute.err]).toEqual([
      2,
      expect.stringMatching(
        /context ada@local \(https:.*\) is there already.* Without --context .*\n.*--yes/s,
      ),
    ]);
    const no = { stdinIsTty: true, ask: async () => 'no' };
    expect((await cli.machine.run(line, no)).code).toBe(130);
    expect((await cli.machine.run(`--context -a setup ${TOKEN}`)).code).toBe(2);
    expect(await readFile(key, 'utf8')).toBe('gv_key_of_ada\n');
    expect(await readFile(join(cli.machine.config, 'contexts.yaml'), 'utf8')).toBe(before);
    expect(cli.server.requests).toEqual([]);
    expect((await cli.machine.run(`${line} --yes`)).code).toBe(0);
    expect(await readFile(key, 'utf8')).toBe('gv_key_new\n');
    expect((await cli.machine.run(`--context kim setup ${TOKEN} --name kim`)).code).toBe(0);
    expect((await cli.machine.run('context list -q')).out).toBe('local\nada@local\nkim\n');
  });

  it('joins the server of the context that it replaces, not that of the current one', async () => {
    await cli.machine.writeContexts('away', {
      away: { server: 'https://localhost:1' },
      kim: { server: cli.server.url, caFile: 'root.crt' },
    });
    expect((await cli.machine.run(`--context kim setup ${TOKEN} --yes`)).code).toBe(0);
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
