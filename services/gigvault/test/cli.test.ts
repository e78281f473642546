import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@gigvault/testkit/check-pki';
import { MODES } from '@gigvault/testkit/pki-process';
import { type ProgramResult, runOrFail } from '@gigvault/testkit/run-program';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { QUICK_CRL, START_TIMEOUT, usePki } from './use-pki.ts';

describe.each(MODES)('the gigvault command, %s', (mode) => {
  const shared = usePki(mode, ...QUICK_CRL);
  const cli = (...args: string[]) => shared.pki.cli(...args);

  /** The JSON of a command that must succeed. */
  async function data<T>(...args: string[]): Promise<T> {
    return JSON.parse(done(await cli(...args, '-o', 'json'))) as T;
  }

  it('works right after up: a certificate from the beginning to its end', async () => {
    const { home } = shared.pki;
    const created = await cli(
      'cert',
      'create',
      'api.localhost',
      '--san',
      'www.localhost',
      '--ip',
      '127.0.0.1',
    );
    expect(done(created)).toMatch(/Issued +api\.localhost/);
    expect(statSync(join(home, 'api.localhost.key')).mode & 0o777).toBe(0o600);
    const chain = join(home, 'api.localhost.crt');
    await runOrFail('openssl', [
      'verify',
      '-CAfile',
      shared.pki.rootFile,
      '-untrusted',
      chain,
      chain,
    ]);

    const { items } = await data<{ items: Listed[] }>('cert', 'list', '--cn', 'api.localhost');
    expect(items).toMatchObject([{ commonName: 'api.localhost', status: 'valid' }]);
    const serial = items[0]?.serialNumber as string;
    expect(done(await cli('cert', 'list'))).toContain('api.localhost');
    expect(done(await cli('cert', 'get', serial, '--pem'))).toBe(readFileSync(chain, 'utf8'));
    expect(done(await cli('cert', 'verify', chain, '--name', 'www.localhost'))).toMatch(
      /revocation +not revoked/,
    );

    const hesitant = await cli('cert', 'revoke', serial, '--reason', 'superseded');
    expect([hesitant.code, hesitant.stderr]).toEqual([2, expect.stringMatching(/--yes/)]);
    expect(done(await cli('cert', 'revoke', serial, '--reason', 'superseded', '--yes'))).toMatch(
      /Revoked/,
    );
    expect(await data('cert', 'get', serial)).toMatchObject({
      status: 'revoked',
      reason: 'superseded',
    });
    const revoked = await cli('cert', 'verify', chain);
    expect([revoked.code, revoked.stderr]).toEqual([10, expect.stringMatching(/revoked on/)]);
    expect((await cli('cert', 'revoke', serial, '--yes')).code).toBe(6);
  }, 60_000);

  it('JSON and YAML say the same', async () => {
    const json = done(await cli('status', '-o', 'json'));
    const yaml = done(await cli('status', '-o', 'yaml'));
    expect(parse(yaml)).toEqual(JSON.parse(json));
    expect(JSON.parse(json)).toMatchObject({ ready: true, server: shared.pki.publicUrl });
  });

  it('a request of somebody else waits for a person, and nobody approves their own', async () => {
    const { pki } = shared;
    const grace = await newUser('grace', 'requester', 'approver');
    const csr = await certificationRequest('shop.example.com');
    const submitted = await grace('csr', 'submit', csr, '--reason', 'the web shop', '-o', 'json');
    expect(submitted.code).toBe(8);
    const { requestId } = JSON.parse(submitted.stdout) as { requestId: string };
    const own = await grace('csr', 'approve', requestId);
    expect([own.code, own.stderr]).toEqual([4, expect.stringMatching(/GV-SELF-APPROVAL/)]);

    const pending = await data<{ items: { requestId: string }[] }>(
      'csr',
      'list',
      '--status',
      'pending',
    );
    expect(pending.items.map((item) => item.requestId)).toContain(requestId);
    expect(done(await cli('csr', 'approve', requestId, '--comment', 'as agreed'))).toMatch(
      /Approved/,
    );
    const leaf = join(pki.home, 'shop.pem');
    writeFileSync(leaf, done(await grace('csr', 'get', requestId, '--pem')));
    await runOrFail('openssl', ['verify', '-CAfile', pki.rootFile, '-untrusted', leaf, leaf]);
    expect((await cli('csr', 'approve', requestId)).code).toBe(6);
  }, 60_000);

  it('a rejected request stays rejected', async () => {
    const linus = await newUser('linus', 'requester');
    const csr = await certificationRequest('wrong.example.com');
    const submitted = await linus('csr', 'submit', csr, '-o', 'json');
    const { requestId } = JSON.parse(submitted.stdout) as { requestId: string };
    expect((await linus('csr', 'approve', requestId)).code).toBe(4);
    expect(done(await cli('csr', 'reject', requestId, '--comment', 'wrong name'))).toMatch(
      /Rejected/,
    );
    expect((await cli('csr', 'approve', requestId)).code).toBe(6);
    expect(JSON.parse(done(await linus('csr', 'get', requestId, '-o', 'json')))).toMatchObject({
      status: 'rejected',
      votes: [{ approve: false, comment: 'wrong name' }],
    });
  }, 60_000);

  it('a setup token signs in once', async () => {
    const { setupToken } = await data<Invited>('user', 'create', 'ada', '--role', 'auditor');
    const ada = as('ada');
    expect(done(await ada('setup', setupToken, ...server()))).toMatch(/Signed in +ada/);
    expect(JSON.parse(done(await ada('whoami', '-o', 'json')))).toMatchObject({ name: 'ada' });
    const again = await as('eve')('setup', setupToken, ...server());
    expect(again.code).toBe(3);
    expect(existsSync(join(shared.pki.home, 'eve', 'gigvault', 'contexts.json'))).toBe(false);
    expect((await ada('cert', 'create', 'no.localhost')).code).toBe(4);
  }, 30_000);

  it('the token that up prints makes the first administrator', async () => {
    const token = /gigvault setup (gv_setup_\S+)/.exec(shared.pki.output())?.[1] as string;
    expect(done(await as('root')('setup', token, '--name', 'boss', ...server()))).toMatch(/admin/);
    expect((await as('late')('setup', token, '--name', 'late', ...server())).code).toBe(3);
  }, 30_000);

  it('keys are generated in the key manager', async () => {
    expect(await data('key', 'generate', 'signing-2027')).toMatchObject({
      keyId: 'signing-2027',
      state: 'active',
    });
    expect((await cli('key', 'generate', 'signing-2027')).code).toBe(6);
    expect(done(await cli('key', 'list'))).toContain('signing-2027');
  });

  it('exit codes tell what happened', async () => {
    const never = '42'.repeat(16);
    expect((await cli('cert', 'get', never)).code).toBe(5);
    expect((await cli('cert', 'create', 'shop.example.org')).code).toBe(8);
    const denied = await cli('cert', 'create', 'long.localhost', '--ttl', '400d');
    expect([denied.code, denied.stderr]).toEqual([7, expect.stringMatching(/GV-POLICY-DENIED/)]);
    expect((await cli('status', '--server', 'https://localhost:1')).code).toBe(9);
    expect((await cli('cert', 'lsit')).code).toBe(2);
    expect((await cli('cert', 'list', '--status', 'odd')).code).toBe(2);
    expect((await as('nobody')('cert', 'list', ...server())).code).toBe(3);
  }, 60_000);

  it(
    'audit verify recomputes the log, and names the entry that was changed — covers: T65',
    async () => {
      expect(done(await cli('audit', 'verify'))).toMatch(/entries give the signed root/);
      const database = await connect(shared.pki);
      try {
        const index = 7;
        const { rows } = await database.query<{ leaf: Buffer }>(
          'SELECT leaf FROM audit.leaf WHERE leaf_index = $1',
          [index],
        );
        const leaf = rows[0]?.leaf as Buffer;
        const forged = leaf.toString().replace(/"actor":"[^"]*"/, '"actor":"somebody else"');
        const write = (content: Buffer) =>
          database.query('UPDATE audit.leaf SET leaf = $2 WHERE leaf_index = $1', [index, content]);
        await write(Buffer.from(forged));
        const broken = await cli('audit', 'verify');
        await write(leaf);
        expect(broken.code).toBe(10);
        expect(broken.stderr).toMatch(new RegExp(`\\b${index}\\b`));
        expect(done(await cli('audit', 'verify'))).toMatch(/nothing changed/);
      } finally {
        await database.end();
      }
    },
    START_TIMEOUT,
  );

  const server = () => ['--server', shared.pki.publicUrl, '--ca-file', shared.pki.rootFile];

  function as(person: string): (...args: string[]) => Promise<ProgramResult> {
    return (...args) => shared.pki.cliOf(person, args);
  }

  async function newUser(name: string, ...roles: string[]) {
    const flags = roles.flatMap((role) => ['--role', role]);
    const { setupToken } = await data<Invited>('user', 'create', name, ...flags);
    done(await as(name)('setup', setupToken, ...server()));
    return as(name);
  }

  async function certificationRequest(name: string): Promise<string> {
    const file = join(shared.pki.home, `${name}.csr`);
    await runOrFail('openssl', [
      ...['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`],
      ...['-keyout', `${file}.key`, '-out', file],
    ]);
    return file;
  }
});

interface Listed {
  readonly serialNumber: string;
}

interface Invited {
  readonly setupToken: string;
}

/** What a command that must succeed printed. */
function done({ code, stdout, stderr }: ProgramResult): string {
  expect([code, stderr]).toEqual([0, expect.anything()]);
  return stdout;
}
