import { X509Certificate } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { newCertificationRequest, newPrivateKey } from '../src/commands/local-key.ts';
import { API, problem } from './fake-server.ts';
import { LISTED, REQUEST, SERIAL } from './sample-documents.ts';
import { useCli } from './use-cli.ts';

const cli = useCli();

beforeEach(() => {
  cli.server.routes[`POST ${API}/certificates`] = ({ body }) => ({
    status: 201,
    body: {
      ...REQUEST,
      status: 'issued',
      serialNumber: SERIAL,
      certificate: cli.server.authority.issue(body.certificationRequest, SERIAL),
      chain: cli.server.authority.issuing + cli.server.authority.root,
    },
  });
});

// covers: G68
describe('cert create', () => {
  it('prints where the certificate is and what is in it', async () => {
    const run = await cli.machine.run('cert create api.localhost');
    expect(run).toMatchObject({ code: 0, err: '' });
    expect(run.out).toMatchInlineSnapshot(`
"✔ Issued  api.localhost                                   serial 5f:03:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:c2
  names     api.localhost
  issuer    GigVault Test Issuing CA        profile  tls-server
  valid     2026-11-21 → 2027-01-07 (47 days)   renews from 2026-12-22
  saved     ./api.localhost.crt (leaf + chain)   ./api.localhost.key (mode 0600)
  check     gigvault cert verify ./api.localhost.crt
"
`);
  });

  it('shortens the serial number on a terminal, in colour', async () => {
    const run = await cli.machine.run('cert create api.localhost', { stdoutIsTty: true });
    expect(run.out.split('\n')[0]).toMatchInlineSnapshot(
      `"[32m✔[0m Issued  api.localhost                                   serial 5f:03:…:c2"`,
    );
  });

  it('writes leaf and chain without the root, and the key for its owner only', async () => {
    await cli.machine.run('cert create api.localhost --san www.localhost --ip 127.0.0.1');
    const pem = await readFile(join(cli.machine.cwd, 'api.localhost.crt'), 'utf8');
    const chain = pem.match(/-----BEGIN[^-]+-----[^-]+-----END CERTIFICATE-----/g) ?? [];
    const [leaf, issuer] = chain.map((text) => new X509Certificate(text));
    expect(chain).toHaveLength(2);
    expect(leaf?.subjectAltName).toBe('DNS:api.localhost, DNS:www.localhost, IP Address:127.0.0.1');
    expect(issuer?.subject).toBe('CN=GigVault Test Issuing CA');
    expect((await stat(join(cli.machine.cwd, 'api.localhost.key'))).mode & 0o777).toBe(0o600);
    expect((await readdir(cli.machine.cwd)).sort()).toEqual([
      'api.localhost.crt',
      'api.localhost.key',
    ]);
  });

  it.each(['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-3072'])(
    'makes a key of type %s',
    async (keyType) => {
      expect((await cli.machine.run(`cert create k.localhost --key-type ${keyType}`)).code).toBe(0);
    },
  );

  it('says it in json, yaml, and by name alone', async () => {
    const json = JSON.parse((await cli.machine.run('cert create a.localhost -o json')).out);
    expect(json).toEqual({
      serialNumber: SERIAL,
      subject: 'a.localhost',
      issuer: 'GigVault Test Issuing CA',
      names: ['a.localhost'],
      notBefore: '2026-11-21T12:00:00.000Z',
      notAfter: '2027-01-07T12:00:00.000Z',
      profile: 'tls-server',
      requestId: REQUEST.requestId,
      files: { certificate: './a.localhost.crt', key: './a.localhost.key' },
    });
    expect((await cli.machine.run('cert create b.localhost -o yaml')).out).toContain(
      `serialNumber: ${SERIAL}\n`,
    );
    expect((await cli.machine.run('cert create c.localhost -q')).out).toBe(`${SERIAL}\n`);
  });

  it('never replaces a file, and asks the server for nothing then', async () => {
    await writeFile(join(cli.machine.cwd, 'api.localhost.key'), 'precious');
    const run = await cli.machine.run('cert create api.localhost');
    expect(run.code).toBe(6);
    expect(run.err).toContain('api.localhost.key exists already');
    expect(await readFile(join(cli.machine.cwd, 'api.localhost.key'), 'utf8')).toBe('precious');
    expect(cli.server.requests).toEqual([]);
    expect((await cli.machine.run('cert create api.localhost --force')).code).toBe(0);
    expect(await readFile(join(cli.machine.cwd, 'api.localhost.key'), 'utf8')).toContain(
      'PRIVATE KEY',
    );
  });

  it('keeps its files in the folder', async () => {
    await cli.machine.run(['cert', 'create', '../../etc/passwd']);
    await cli.machine.run(['cert', 'create', '*.corp.example']);
    expect((await readdir(cli.machine.cwd)).sort()).toEqual([
      '_.corp.example.crt',
      '_.corp.example.key',
      '__.._etc_passwd.crt',
      '__.._etc_passwd.key',
    ]);
  });

  it('leaves no key behind when there is no certificate', async () => {
    cli.server.routes[`POST ${API}/certificates`] = () =>
      problem(503, 'UNAVAILABLE', 'The CA cannot be reached.');
    const run = await cli.machine.run('cert create api.localhost');
    expect(run.code).toBe(9);
    expect(run.err).toContain('try   gigvault cert list --cn api.localhost   (a certificate may');
    expect(await readdir(cli.machine.cwd)).toEqual([]);
  });

  it('takes a request that was made elsewhere', async () => {
    const csr = newCertificationRequest(newPrivateKey('ec-p256'), 'own.localhost', [
      { type: 'dns', value: 'own.localhost' },
    ]);
    await writeFile(join(cli.machine.cwd, 'own.csr'), csr);
    const run = await cli.machine.run(
      'cert create own.localhost --csr own.csr --ttl 2w --profile edge',
    );
    expect(run.code).toBe(0);
    expect(cli.server.requests.at(-1)?.body).toEqual({
      certificationRequest: csr,
      profile: 'edge',
      validity: '14d',
    });
    expect((await readdir(cli.machine.cwd)).sort()).toEqual(['own.csr', 'own.localhost.crt']);
  });

  it('tells a denial in the words of the policy', async () => {
    const why = [
      'dnsNames[1] "*.corp.example": wildcards are not allowed',
      'validity 398 d: longest allowed is 90 d',
    ];
    const errors = why.map((message) => ({
      pointer: '/certificationRequest',
      code: 'POLICY_DENIED',
      message,
    }));
    cli.server.routes[`POST ${API}/certificates`] = () =>
      problem(
        403,
        'POLICY_DENIED',
        `policy "web-servers" refused this certificate: ${why.join('; ')}`,
        errors,
      );
    const run = await cli.machine.run('cert create api.localhost');
    expect(run).toMatchObject({ code: 7, out: '' });
    expect(run.err).toMatchInlineSnapshot(`
"error: policy "web-servers" refused this certificate           GV-POLICY-DENIED
  ✖ dnsNames[1] "*.corp.example"   wildcards are not allowed
  ✖ validity 398 d                 longest allowed is 90 d
  try   gigvault whoami   (policies look at your roles)
  more  https://docs.gigvault.dev/errors/GV-POLICY-DENIED      trace 4bf92f3577b34da6a3ce929d0e0e4736
"
`);
  });

  it('waits for people when told, and keeps the key when not', async () => {
    const pending = { ...REQUEST, status: 'pending', approvalsNeeded: 1 };
    let body: { certificationRequest: string } | undefined;
    cli.server.routes[`POST ${API}/certificates`] = (request) => {
      body = request.body;
      return { status: 202, body: pending };
    };
    const first = await cli.machine.run('cert create one.localhost');
    expect(first.code).toBe(8);
    expect(first.out).toBe(`${REQUEST.requestId}  pending\n`);
    expect(first.err).toContain(`gigvault csr approve ${REQUEST.requestId}`);
    expect(await readdir(cli.machine.cwd)).toEqual(['one.localhost.key']);
    let polls = 0;
    cli.server.routes[`GET ${API}/csrs/${REQUEST.requestId}`] = () => {
      polls += 1;
      if (polls < 3) return { status: 200, body: pending };
      const certificate = cli.server.authority.issue(body?.certificationRequest ?? '', SERIAL);
      return {
        status: 200,
        body: { ...pending, status: 'issued', serialNumber: SERIAL, certificate, chain: '' },
      };
    };
    expect((await cli.machine.run('cert create two.localhost --wait')).code).toBe(0);
    expect(polls).toBe(3);
  });

  it('refuses a certificate for another key', async () => {
    const other = newCertificationRequest(newPrivateKey('ec-p256'), 'api.localhost', [
      { type: 'dns', value: 'api.localhost' },
    ]);
    cli.server.routes[`POST ${API}/certificates`] = () => ({
      status: 201,
      body: {
        ...REQUEST,
        status: 'issued',
        certificate: cli.server.authority.issue(other, SERIAL),
        chain: '',
      },
    });
    const run = await cli.machine.run('cert create api.localhost');
    expect(run.code).toBe(1);
    expect(run.err).toContain('another key');
  });
});

describe('cert list and get', () => {
  it('lists in a table that can be read by programs too, over several pages', async () => {
    cli.server.routes[`GET ${API}/certificates`] = ({ query }) => {
      const revoked = {
        ...LISTED,
        serialNumber: '0badc0de',
        commonName: 'old\u001b[2J.localhost',
        status: 'revoked',
      };
      const last = query.get('cursor') === 'next';
      return {
        status: 200,
        body: last ? { items: [revoked] } : { items: [LISTED], nextCursor: 'next' },
      };
    };
    const run = await cli.machine.run('cert list --status valid');
    expect(run.out).toMatchInlineSnapshot(`
"SERIAL                                                       NAME               PROFILE     STATUS   EXPIRES
5f:03:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:c2  api.localhost      tls-server  valid    2027-01-07 (in 47 d)
0b:ad:c0:de                                                  old�[2J.localhost  tls-server  revoked  2027-01-07 (in 47 d)
"
`);
    expect(cli.server.requests.at(-2)?.query.get('status')).toBe('valid');
    expect(cli.server.requests.at(-1)?.query.get('cursor')).toBe('next');
    const json = JSON.parse((await cli.machine.run('cert list -o json')).out);
    expect(json.items[0]).toEqual(LISTED);
    expect((await cli.machine.run('cert list -q --limit 1')).out).toBe(`${SERIAL}\n`);
  });

  it.each(['5F:03:AB', '5f 03 ab', '0x5f03ab', '5F03AB'])(
    'takes the serial number %s',
    async (text) => {
      cli.server.routes[`GET ${API}/certificates/5f03ab`] = () => ({
        status: 200,
        body: { ...LISTED, chain: '' },
      });
      expect((await cli.machine.run(['cert', 'get', text])).code).toBe(0);
      expect((await cli.machine.run('cert get 6226859 --decimal')).code).toBe(0);
    },
  );

  it('shows one, as PEM when told', async () => {
    const { authority } = cli.server;
    const request = newCertificationRequest(newPrivateKey('ec-p256'), 'api.localhost', []);
    const leaf = authority.issue(request, SERIAL);
    const document = { ...LISTED, certificate: leaf, chain: authority.issuing + authority.root };
    cli.server.routes[`GET ${API}/certificates/${SERIAL}`] = () => ({
      status: 200,
      body: document,
    });
    expect((await cli.machine.run(`cert get ${SERIAL}`)).out).toMatchInlineSnapshot(`
"serial     5f:03:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:ab:c2
name       api.localhost
names      api.localhost
status     valid
profile    tls-server
issuer     issuing
valid      2026-11-21 → 2027-01-07 (in 47 d)
requester  ada
"
`);
    for (const flag of ['--pem', '-o pem'])
      expect((await cli.machine.run(`cert get ${SERIAL} ${flag}`)).out).toBe(
        leaf + authority.issuing,
      );
  });

  it('exits 5 for what is not there', async () => {
    cli.server.routes[`GET ${API}/certificates/aa`] = () =>
      problem(404, 'CERTIFICATE_NOT_FOUND', 'There is no certificate aa.');
    const run = await cli.machine.run('cert get aa');
    expect(run.code).toBe(5);
    expect(run.err).toMatchInlineSnapshot(`
"error: There is no certificate aa.                             GV-CERTIFICATE-NOT-FOUND
  try   gigvault cert list
  more  https://docs.gigvault.dev/errors/GV-CERTIFICATE-NOT-FOUND      trace 4bf92f3577b34da6a3ce929d0e0e4736
"
`);
  });
});
