import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { newCertificationRequest, newPrivateKey } from '../src/commands/local-key.ts';
import { API, startFakeServer } from './fake-server.ts';
import { LISTED, SERIAL } from './sample-documents.ts';
import { NOW } from './test-authority.ts';
import { useCli } from './use-cli.ts';

const cli = useCli();

// covers: G71
describe('cert revoke', () => {
  beforeEach(() => {
    cli.server.routes[`GET ${API}/certificates/${SERIAL}`] = () => ({
      status: 200,
      body: { ...LISTED, chain: '' },
    });
    cli.server.routes[`POST ${API}/certificates/${SERIAL}/revoke`] = ({ body }) => ({
      status: 200,
      body: {
        serialNumber: SERIAL,
        status: 'revoked',
        revokedAt: '2026-11-21T12:00:00.000Z',
        reasonCode: 1,
        reason: body.reason,
      },
    });
  });

  it('fails without a terminal and names the flag; nothing is sent', async () => {
    const run = await cli.machine.run(`cert revoke ${SERIAL}`);
    expect(run.code).toBe(2);
    expect(run.err).toContain('--yes');
    expect(cli.server.requests).toEqual([]);
  });

  it('revokes with --yes', async () => {
    const run = await cli.machine.run(`cert revoke ${SERIAL} --reason keycompromise --yes`);
    expect(run.code).toBe(0);
    expect(cli.server.requests.at(-1)?.body).toEqual({ reason: 'keyCompromise' });
  });

  it('asks on a terminal, says what it will do, and stops at any other word', async () => {
    const asked: string[] = [];
    const answering = (answer: string) => ({
      stdinIsTty: true,
      ask: async (question: string) => {
        asked.push(question);
        return answer;
      },
    });
    expect((await cli.machine.run(`cert revoke ${SERIAL}`, answering('no'))).code).toBe(130);
    expect(cli.server.requests.map((request) => request.route)).not.toContain(
      `POST ${API}/certificates/${SERIAL}/revoke`,
    );
    expect((await cli.machine.run(`cert revoke ${SERIAL}`, answering('yes'))).code).toBe(0);
    expect(asked[0]).toContain('api.localhost (context local)');
    expect((await cli.machine.run(`cert revoke ${SERIAL} --no-input`, answering('yes'))).code).toBe(
      2,
    );
  });

  it('wants the context’s name in production', async () => {
    const context = {
      server: cli.server.url,
      caFile: 'root.crt',
      apiKey: 'gv_key_good',
      environment: 'production',
    } as const;
    await cli.machine.writeContexts('prod', { prod: context });
    const answering = (answer: string) => ({ stdinIsTty: true, ask: async () => answer });
    expect((await cli.machine.run(`cert revoke ${SERIAL}`, answering('yes'))).code).toBe(130);
    expect((await cli.machine.run(`cert revoke ${SERIAL}`, answering('prod'))).code).toBe(0);
  });

  it.each(['bored', 'cACompromise', 'certificateHold'])(
    'refuses a reason that the server would refuse, and lists the others: %s',
    async (reason) => {
      const run = await cli.machine.run(`cert revoke ${SERIAL} --reason ${reason} --yes`);
      expect(run.code).toBe(2);
      expect(run.err).toContain('keyCompromise');
    },
  );
});

describe('cert verify', () => {
  async function issued(notBefore = NOW, notAfter = NOW + 47 * 86_400_000): Promise<string> {
    const request = newCertificationRequest(newPrivateKey('ec-p256'), 'api.localhost', [
      { type: 'dns', value: 'api.localhost' },
    ]);
    const leaf = cli.server.authority.issue(request, SERIAL, notBefore, notAfter);
    await writeFile(join(cli.machine.cwd, 'api.crt'), leaf + cli.server.authority.issuing);
    const body = { ...LISTED, certificate: leaf, chain: cli.server.authority.issuing };
    cli.server.routes[`GET ${API}/certificates/${SERIAL}`] = () => ({ status: 200, body });
    return leaf;
  }

  it('says what it checked', async () => {
    await issued();
    const run = await cli.machine.run('cert verify api.crt --name api.localhost');
    expect(run).toMatchObject({ code: 0, err: '' });
    expect(run.out).toMatchInlineSnapshot(`
"✔ chain       api.localhost ← GigVault Test Issuing CA ← GigVault Test Root CA
✔ validity    2026-11-21 → 2027-01-07 (in 47 d)
✔ names       api.localhost
✔ revocation  not revoked
"
`);
  });

  it('exits 10 for another name, an expired one, a revoked one, and one of another CA', async () => {
    const leaf = await issued();
    expect((await cli.machine.run('cert verify api.crt --name evil.example')).code).toBe(10);
    cli.server.routes[`GET ${API}/certificates/${SERIAL}`] = () => ({
      status: 200,
      body: {
        ...LISTED,
        status: 'revoked',
        revokedAt: '2026-11-21T12:00:00.000Z',
        reason: 'keyCompromise',
        certificate: leaf,
        chain: '',
      },
    });
    const revoked = await cli.machine.run('cert verify api.crt');
    expect(revoked.code).toBe(10);
    expect(revoked.out).toContain('✖ revocation  revoked on 2026-11-21 (keyCompromise)');
    await issued(NOW - 90 * 86_400_000, NOW - 86_400_000);
    expect((await cli.machine.run('cert verify api.crt --offline')).err).toContain('expired');
    await issued();
    const other = await startFakeServer();
    await writeFile(join(cli.machine.cwd, 'other.crt'), other.authority.root);
    expect((await cli.machine.run('cert verify api.crt --offline --ca-file other.crt')).code).toBe(
      10,
    );
    await other.stop();
  });

  it('exits 10 when the intermediate is missing, and 2 when the file is no certificate', async () => {
    await writeFile(join(cli.machine.cwd, 'api.crt'), await issued());
    const run = await cli.machine.run('cert verify api.crt --offline');
    expect(run.code).toBe(10);
    expect(run.err).toContain('not signed by');
    await writeFile(join(cli.machine.cwd, 'x.crt'), 'hello');
    expect((await cli.machine.run('cert verify x.crt')).code).toBe(2);
    expect((await cli.machine.run('cert verify nothing.crt')).code).toBe(2);
  });
});
