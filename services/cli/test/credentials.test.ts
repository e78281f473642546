import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clientAuthority } from '@gigvault/testkit/client-authority';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { API, problem, startFakeServer } from './fake-server.ts';
import { useCli } from './use-cli.ts';

const TOKEN = `gv_setup_${'A'.repeat(43)}`;

const cli = useCli();

const exchanges = () =>
  cli.server.requests.filter((request) => request.route === `POST ${API}/token`).length;

// covers: C52, C56
describe('access tokens', () => {
  it('are exchanged once and kept for their owner only', async () => {
    expect((await cli.machine.run('whoami')).code).toBe(0);
    expect((await cli.machine.run('whoami')).code).toBe(0);
    expect(exchanges()).toBe(1);
    expect(await cli.modeOf('contexts', 'local', 'access-token.json')).toBe(0o600);
    expect(await cli.modeOf('contexts', 'local')).toBe(0o700);
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
