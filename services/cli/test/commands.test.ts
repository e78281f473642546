import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { newCertificationRequest, newPrivateKey } from '../src/commands/local-key.ts';
import { API, problem } from './fake-server.ts';
import { useCli } from './use-cli.ts';

const ID = '0f8c2d1e-0000-4000-8000-000000000001';
const CSR = {
  requestId: ID,
  status: 'pending',
  requester: 'user:u1',
  profile: 'tls-server',
  commonName: 'shop.example',
  names: ['shop.example', 'www.shop.example'],
  createdAt: '2026-11-21T11:00:00.000Z',
  reason: 'new shop',
  decision: {
    outcome: 'review',
    policy: 'default',
    rules: [{ rule: 'names.review', outcome: 'review', message: 'shop.example: people decide' }],
  },
  approvalsNeeded: 2,
  votes: [{ actor: 'user:u2', approve: true, comment: 'fine', at: '2026-11-21T11:30:00.000Z' }],
  certificationRequest: 'PEM',
};
const ISSUED = {
  ...CSR,
  status: 'issued',
  serialNumber: '5f03ab',
  certificate: 'LEAF\n',
  chain: 'CHAIN\n',
};
const NAMED = {
  ...CSR,
  requesterName: 'lin',
  votes: CSR.votes.map((vote) => ({ ...vote, actorName: 'kay' })),
};

const cli = useCli();

const last = () => cli.server.requests.at(-1);

// covers: G69, G18
describe('csr', () => {
  it('submit sends the file and exits 8 while people have not decided', async () => {
    await writeFile(join(cli.machine.cwd, 'shop.csr'), 'PEM');
    cli.server.routes[`POST ${API}/csrs`] = () => ({ status: 202, body: CSR });
    const run = await cli.machine.run(['csr', 'submit', 'shop.csr', '--reason', 'new shop']);
    expect(run.code).toBe(8);
    expect(run.out).toBe(`${ID}  pending\n`);
    expect(run.err).toMatchInlineSnapshot(`
"! waiting for approval (1 of 2)
  somebody else:  gigvault csr approve 0f8c2d1e-0000-4000-8000-000000000001
"
`);
    expect(last()?.body).toEqual({
      certificationRequest: 'PEM',
      profile: 'tls-server',
      reason: 'new shop',
    });
  });

  it('submit exits 0 when it was issued at once', async () => {
    await writeFile(join(cli.machine.cwd, 'shop.csr'), 'PEM');
    cli.server.routes[`POST ${API}/csrs`] = () => ({ status: 201, body: ISSUED });
    expect(await cli.machine.run('csr submit shop.csr -q')).toEqual({
      code: 0,
      out: `${ID}\n`,
      err: '',
    });
  });

  it('list and get', async () => {
    cli.server.routes[`GET ${API}/csrs`] = () => ({
      status: 200,
      body: { items: [CSR], nextCursor: '' },
    });
    cli.server.routes[`GET ${API}/csrs/${ID}`] = () => ({ status: 200, body: CSR });
    expect((await cli.machine.run('csr list --status pending')).out).toMatchInlineSnapshot(`
"ID                                    NAMES                          PROFILE     STATUS   VOTES   REQUESTER  CREATED
0f8c2d1e-0000-4000-8000-000000000001  shop.example,www.shop.example  tls-server  pending  1 of 2  ada        2026-11-21 (60 min ago)
"
`);
    const listed = cli.server.requests.find(({ route }) => route === `GET ${API}/csrs`);
    expect(listed?.query.get('status')).toBe('pending');
    expect((await cli.machine.run(`csr get ${ID}`)).out).toMatchInlineSnapshot(`
"id         0f8c2d1e-0000-4000-8000-000000000001
names      shop.example  www.shop.example
profile    tls-server
status     pending
requester  ada (user:u1)
reason     new shop
decision   review by policy "default"
rule       review: shop.example: people decide
approvals  1 of 2
vote       user:u2 approved fine
"
`);
    expect((await cli.machine.run(`csr get ${ID} --pem`)).code).toBe(8);
  });

  it('get gives what a server presents: the certificate and its intermediates, not the root', async () => {
    const { authority } = cli.server;
    const key = newPrivateKey('ec-p256');
    const leaf = authority.issue(newCertificationRequest(key, 'shop.example', []), '5f03ab');
    const body = { ...ISSUED, certificate: leaf, chain: authority.issuing + authority.root };
    cli.server.routes[`GET ${API}/csrs/${ID}`] = () => ({ status: 200, body });
    for (const flag of ['--pem', '-o pem'])
      expect((await cli.machine.run(`csr get ${ID} ${flag}`)).out).toBe(leaf + authority.issuing);
  });

  it('name people as the request does, without asking who they are', async () => {
    cli.server.routes[`GET ${API}/csrs`] = () => ({ status: 200, body: { items: [NAMED] } });
    cli.server.routes[`GET ${API}/csrs/${ID}`] = () => ({ status: 200, body: NAMED });
    expect((await cli.machine.run('csr list')).out).toMatch(/ lin {8}2026/);
    const shown = (await cli.machine.run(`csr get ${ID}`)).out;
    expect(shown).toContain('requester  lin (user:u1)\n');
    expect(shown).toContain('vote       kay (user:u2) approved fine\n');
    expect(cli.server.requests.filter(({ route }) => route.endsWith('/whoami'))).toEqual([]);
    const json = JSON.parse((await cli.machine.run('csr list -o json')).out);
    expect(json.items[0]).toMatchObject({ requester: 'user:u1', requesterName: 'lin' });
  });

  it('name people where the caller may know who they are', async () => {
    cli.server.routes[`GET ${API}/csrs/${ID}`] = () => ({ status: 200, body: CSR });
    const whoami = `GET ${API}/whoami`;
    const { [whoami]: ordinary } = cli.server.routes;
    const me = { userId: 'u1', name: 'ada', roles: [], tenantId: 'default' };
    cli.server.routes[whoami] = () => ({
      status: 200,
      body: { ...me, permissions: ['users:manage'] },
    });
    cli.server.routes[`GET ${API}/users`] = () => ({
      status: 200,
      body: { items: [{ userId: 'u2', name: 'grace' }] },
    });
    expect((await cli.machine.run(`csr get ${ID}`)).out).toContain(
      'vote       grace (user:u2) approved fine',
    );
    cli.server.requests.length = 0;
    expect((await cli.machine.run(`csr get ${ID} -o json`)).out).toContain(
      '"requester": "user:u1"',
    );
    expect(cli.server.requests.filter(({ route }) => route === whoami)).toEqual([]);
    if (ordinary) cli.server.routes[whoami] = ordinary;
  });

  it('approve and reject send the vote', async () => {
    cli.server.routes[`POST ${API}/csrs/${ID}/approve`] = () => ({ status: 200, body: ISSUED });
    cli.server.routes[`POST ${API}/csrs/${ID}/reject`] = () => ({
      status: 200,
      body: { ...CSR, status: 'rejected', votes: [] },
    });
    expect((await cli.machine.run(`csr approve ${ID} --comment ok`)).out).toMatchInlineSnapshot(`
"✔ Approved (1 of 2)  shop.example  www.shop.example   issued
  serial    5f:03:ab
"
`);
    expect(last()?.body).toEqual({ comment: 'ok' });
    await cli.machine.run(`csr approve ${ID} --reason ok`);
    expect(last()?.body).toEqual({ comment: 'ok' });
    expect((await cli.machine.run(`csr reject ${ID}`)).out).toContain('Rejected');
  });

  it('approve of one’s own request exits 4 and says who can', async () => {
    cli.server.routes[`POST ${API}/csrs/${ID}/approve`] = () =>
      problem(403, 'SELF_APPROVAL', 'Nobody approves their own request.');
    const run = await cli.machine.run(`csr approve ${ID}`);
    expect(run.code).toBe(4);
    expect(run.err).toContain('another person decides');
  });
});

// covers: G50, G52
describe('user and apikey', () => {
  const USER = {
    userId: 'u9',
    name: 'grace',
    displayName: 'grace',
    roles: ['approver', 'auditor'],
    status: 'invited',
    createdAt: '2026-11-21T12:00:00.000Z',
  };

  it('user create prints the token to hand over', async () => {
    cli.server.routes[`POST ${API}/users`] = () => ({
      status: 201,
      body: {
        ...USER,
        setupToken: 'gv_setup_XYZ',
        setupTokenExpiresAt: '2026-11-21T12:30:00.000Z',
      },
    });
    expect(
      (await cli.machine.run('user create grace --role approver --role auditor')).out,
    ).toMatchInlineSnapshot(`
"✔ Created  grace   approver, auditor
  hand over   gigvault setup gv_setup_XYZ
  one use     until 2026-11-21 (in 30 min)
"
`);
    expect(last()?.body).toEqual({ name: 'grace', roles: ['approver', 'auditor'] });
    expect((await cli.machine.run('user create grace --role approver -q')).out).toBe(
      'gv_setup_XYZ\n',
    );
    expect((await cli.machine.run('user create grace')).code).toBe(2);
  });

  it('user list and disable', async () => {
    cli.server.routes[`GET ${API}/users`] = () => ({ status: 200, body: { items: [USER] } });
    cli.server.routes[`POST ${API}/users/grace/disable`] = () => ({
      status: 200,
      body: { ...USER, status: 'disabled' },
    });
    expect((await cli.machine.run('user list')).out).toMatchInlineSnapshot(`
"NAME   ROLES             STATUS   CREATED     ID
grace  approver,auditor  invited  2026-11-21  u9
"
`);
    expect((await cli.machine.run('user disable grace')).code).toBe(2);
    expect((await cli.machine.run('user disable grace --yes')).code).toBe(0);
  });

  it('apikey create prints the secret alone, list never, revoke asks', async () => {
    const key = {
      keyId: '0123456789abcdef',
      label: 'pipeline',
      createdAt: '2026-11-21T12:00:00.000Z',
      expiresAt: '2027-02-19T12:00:00.000Z',
    };
    cli.server.routes[`POST ${API}/api-keys`] = () => ({
      status: 201,
      body: { ...key, apiKey: 'gv_key_secret' },
    });
    cli.server.routes[`GET ${API}/api-keys`] = () => ({ status: 200, body: { items: [key] } });
    cli.server.routes[`DELETE ${API}/api-keys/0123456789abcdef`] = () => ({ status: 204 });
    expect((await cli.machine.run('apikey create pipeline --expires-in 90d')).out).toBe(
      'gv_key_secret\n',
    );
    expect(last()?.body).toEqual({ label: 'pipeline', expiresIn: 7_776_000 });
    expect((await cli.machine.run('apikey list')).out).toMatchInlineSnapshot(`
"ID                LABEL     STATUS  EXPIRES               LAST USED  CREATED
0123456789abcdef  pipeline  active  2027-02-19 (in 90 d)  never      2026-11-21
"
`);
    expect((await cli.machine.run('apikey revoke 0123456789abcdef')).code).toBe(2);
    expect((await cli.machine.run('apikey revoke 0123456789abcdef --yes')).code).toBe(0);
  });

  it.each([
    ['"roles[0]" must be one of admin, auditor.', 'error: --role must be one of admin, auditor. '],
    ['"expiresIn" must be at least 60.', 'error: --expires-in (in seconds) must be at least 60. '],
    ['"name" must not be empty.', 'error: "name" must not be empty. '],
  ])('tell what is wrong by the names that were typed: %s', async (said, shown) => {
    cli.server.routes[`POST ${API}/users`] = () => problem(400, 'INVALID_ARGUMENT', said);
    const run = await cli.machine.run('user create grace --role kid');
    expect(run.code).toBe(2);
    expect(run.err.startsWith(shown)).toBe(true);
  });

  it('say of names that came from a request what is wrong with them, not where they stand', async () => {
    const message = 'DNS name "a..b" is refused: a label is empty.';
    cli.server.routes[`POST ${API}/users`] = () =>
      problem(400, 'REJECTED_IDENTIFIER', 'Identifier refused.', [
        { pointer: '/subjectAltName/0', code: 'X', message },
      ]);
    expect((await cli.machine.run('user create grace --role admin')).err).toContain(
      `  ✖ ${message}`,
    );
  });

  it('exit 4 for who may not', async () => {
    cli.server.routes[`GET ${API}/users`] = () =>
      problem(403, 'FORBIDDEN', 'ada lacks the permission users:manage.');
    expect((await cli.machine.run('user list')).code).toBe(4);
  });

  it('exit 9 when asked to slow down, and say for how long', async () => {
    cli.server.routes[`GET ${API}/users`] = () => ({
      ...problem(429, 'RATE_LIMITED', 'Too many requests.'),
      headers: { 'retry-after': '17' },
    });
    const run = await cli.machine.run('user list');
    expect(run.code).toBe(9);
    expect(run.err).toContain('try again in 17 s');
  });
});

describe('what the server says', () => {
  it('cannot steer the terminal', async () => {
    cli.server.routes[`GET ${API}/users`] = () =>
      problem(500, 'INTERNAL', 'broken \u001b]0;owned\u0007\u001b[2J');
    const run = await cli.machine.run('user list');
    expect(run.code).toBe(1);
    expect(run.err).not.toContain('\u001b');
  });

  it('of a newer version, with a code that this one does not know, is told by its status', async () => {
    cli.server.routes[`GET ${API}/users`] = () => problem(409, 'BRAND_NEW', 'Something new.');
    const run = await cli.machine.run('user list');
    expect(run.code).toBe(6);
    expect(run.err).toContain('GV-BRAND-NEW');
  });

  it('that is no JSON is a failure of its own', async () => {
    cli.server.routes[`GET ${API}/users`] = () => ({ status: 502, body: 'gateway' });
    expect((await cli.machine.run('user list')).code).toBe(1);
  });
});

describe('the README', () => {
  it('names every command', async () => {
    const { COMMANDS } = await import('../src/program/program.ts');
    const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
    const missing = COMMANDS.map(({ usage }) => usage.replace(/ [<[].*$/, '')).filter(
      (name) => !readme.includes(`\`${name}`),
    );
    expect(missing).toEqual([]);
  });
});
