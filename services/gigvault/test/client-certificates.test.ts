import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ClientPair, clientAuthority } from '@gigvault/testkit/client-authority';
import { eventually } from '@gigvault/testkit/eventually';
import { MODES } from '@gigvault/testkit/pki-process';
import { runOrFail } from '@gigvault/testkit/run-program';
import { credentials, status } from '@grpc/grpc-js';
import { afterAll, describe, expect, it } from '@jest/globals';
import { grpcKeystore } from './keystore-clients.ts';
import { API, useRest } from './rest-client.ts';
import { startAcmeClient, usePki } from './use-pki.ts';

/** Exit codes. */
const NOT_SIGNED_IN = 3;
const FORBIDDEN = 4;

const folder = mkdtempSync(join(tmpdir(), 'gigvault-required-'));
afterAll(() => rmSync(folder, { recursive: true }));
const people = clientAuthority();
const authorities = join(folder, 'people.pem');
writeFileSync(authorities, people.certificate);

describe.each(MODES)('client certificates that must match, %s — covers: P7, T63', (mode) => {
  const required = ['--https-client-certificates', 'required-and-matching'];
  const shared = usePki(mode, ...required, '--https-client-authorities', authorities);
  const rest = useRest(shared);
  const ada = people.issue({ commonName: 'ada' });
  const bob = people.issue({ commonName: 'bob' });
  const stranger = clientAuthority().issue({ commonName: 'ada' });

  function place(name: string, text: string): string {
    const file = join(folder, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  }

  const flags = (name: string, { cert, key }: ClientPair) => [
    ...['--cert', place(`${name}.pem`, cert), '--key', place(`${name}.key`, key)],
  ];

  it('gigvault setup makes the first administrator, whose command is of use with her certificate alone', async () => {
    const { pki } = shared;
    const from = ['--server', pki.publicUrl, '--ca-file', pki.rootFile];
    const joins = async (name: string, invitation: string, ...more: string[]) => {
      const [setupToken] = /gv_setup_[\w-]{43}/.exec(invitation) as RegExpExecArray;
      const joined = await pki.cliOf(name, ['setup', setupToken, ...from, ...more]);
      expect([joined.code, joined.stderr]).toEqual([0, '']);
    };
    const asAda = (...args: string[]) => pki.cliOf('ada', args);
    await joins('ada', pki.output(), '--name', 'ada', ...flags('ada', ada));
    expect(await asAda('whoami')).toMatchObject({ code: 0, stdout: expect.stringMatching(/ada/) });
    const made = await asAda('key', 'generate', 'hers');
    expect([made.code, made.stderr]).toEqual([0, '']);
    await joins('bob', (await asAda('user', 'create', 'bob', '--role', 'operator')).stdout);
    expect(await asAda('whoami', ...flags('bob', bob))).toMatchObject({ code: FORBIDDEN });
    expect(await asAda('whoami', ...flags('stranger', stranger))).toMatchObject({
      code: NOT_SIGNED_IN,
    });
    // The context of the machine itself, which no certificate names.
    expect(await pki.cli('whoami')).toMatchObject({
      code: NOT_SIGNED_IN,
      stderr: expect.stringContaining('client certificate'),
    });
  }, 60_000);

  it('curl: token and certificate of one user, or nothing', async () => {
    const { pki } = shared;
    const token = await rest.exchange(adasKey());
    const ask = async (pair: ClientPair | undefined, path: string, ...more: string[]) => {
      const shown = pair && ['--cert', place('curl.pem', pair.cert + pair.key)];
      const out = ['-o', '/dev/null', '-w', '%{http_code}', pki.publicUrl + path];
      return runOrFail('curl', [
        '-sS',
        '--cacert',
        pki.rootFile,
        ...(shown ?? []),
        ...more,
        ...out,
      ]);
    };
    const bearer = ['-H', `authorization: Bearer ${token}`];
    const apiKey = ['-H', `x-api-key: ${adasKey()}`];
    for (const path of ['/keys', '/certificates', '/csrs', '/audit/checkpoint', '/whoami']) {
      for (const credential of [bearer, apiKey]) {
        expect([path, await ask(ada, API + path, ...credential)]).toEqual([path, '200']);
        expect([path, await ask(bob, API + path, ...credential)]).toEqual([path, '403']);
        expect([path, await ask(stranger, API + path, ...credential)]).toEqual([path, '401']);
        expect([path, await ask(undefined, API + path, ...credential)]).toEqual([path, '401']);
      }
      expect([path, await ask(ada, API + path)]).toEqual([path, '401']);
    }
    for (const path of ['/acme/directory', '/health', '/openapi.json'])
      expect([path, await ask(undefined, path)]).toEqual([path, '200']);
  }, 60_000);

  it('a certificate of another user than the token: the audit log names both', async () => {
    const bearer = ['-H', `authorization: Bearer ${await rest.exchange(adasKey())}`];
    const read = async (pair: ClientPair, path: string): Promise<unknown> => {
      const shown = ['--cert', place('audit.pem', pair.cert + pair.key), ...bearer];
      const from = ['-sS', '--cacert', shared.pki.rootFile, ...shown, shared.pki.publicUrl + path];
      return JSON.parse((await runOrFail('curl', from)).toString());
    };
    await read(bob, `${API}/whoami`);
    const { items: users } = (await read(ada, `${API}/users`)) as {
      items: { userId: string; name: string }[];
    };
    const actorOf = (name: string) => `user:${users.find((user) => user.name === name)?.userId}`;
    const told = async () => {
      const events: unknown[] = [];
      for (let start: number | undefined = 0; start !== undefined; ) {
        const path = `${API}/audit/entries?start=${start}&limit=100`;
        const page = (await read(ada, path)) as { items: { event: unknown }[]; nextStart?: number };
        events.push(...page.items.map(({ event }) => event));
        start = page.nextStart;
      }
      return events;
    };
    await eventually(async () =>
      expect(await told()).toContainEqual(
        expect.objectContaining({
          type: 'auth.failed',
          actor: actorOf('ada'),
          subject: 'certificate',
          data: expect.objectContaining({
            reason: 'of another user than the token',
            certificate: expect.objectContaining({ actor: actorOf('bob') }),
          }),
        }),
      ),
    );
  }, 60_000);

  it('gRPC: the same, and without a certificate no connection', async () => {
    const root = readFileSync(shared.pki.rootFile);
    const authorization = `Bearer ${await rest.exchange(adasKey())}`;
    const ask = async (pair?: ClientPair) => {
      const [key, cert] = pair ? [Buffer.from(pair.key), Buffer.from(pair.cert)] : [null, null];
      const client = grpcKeystore(shared, credentials.createSsl(root, key, cert));
      try {
        return await client.call('GetKey', { keyId: 'hers' }, authorization);
      } finally {
        client.close();
      }
    };
    expect(await ask(ada)).toMatchObject({ done: { keyId: 'hers' } });
    expect(await ask(bob)).toEqual({ refused: 'FORBIDDEN' });
    for (const pair of [undefined, stranger])
      await expect(ask(pair)).rejects.toMatchObject({ code: status.UNAVAILABLE });
  });

  it('ACME needs none', async () => {
    const { client, responder } = await startAcmeClient(shared);
    try {
      expect(await client.certificate(['a.localhost'])).toContain('BEGIN CERTIFICATE');
    } finally {
      await responder.stop();
    }
  });

  /** As `setup` has left it on her machine. */
  function adasKey(): string {
    const contexts = join(shared.pki.home, 'ada', 'gigvault', 'contexts');
    const [own] = readdirSync(contexts).filter((name) => name.startsWith('ada@'));
    return readFileSync(join(contexts, own as string, 'api-key'), 'utf8').trim();
  }
});
