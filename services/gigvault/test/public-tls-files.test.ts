import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { secretReference } from '@gigvault/config/secret';
import { secretResolver } from '@gigvault/secrets/secret-resolver';
import { secretsConfig } from '@gigvault/secrets/secrets.config';
import { eventually } from '@gigvault/testkit/eventually';
import { httpClient } from '@gigvault/testkit/http-client';
import { MODES } from '@gigvault/testkit/pki-process';
import { runProgram } from '@gigvault/testkit/run-program';
import { FakeClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readConfiguredTls, readConfiguredTlsAtStart } from '../src/edge/configured-certificate.ts';
import { operatorsOf } from './operators-of.ts';
import { type OtherAuthority, otherAuthority } from './other-authority.ts';
import { START_TIMEOUT, usePki } from './use-pki.ts';

const DAY = 86_400_000;
const folder = mkdtempSync(join(tmpdir(), 'gigvault-public-tls-'));
const file = (name: string) => join(folder, name);
const read = (name: string) => readFileSync(file(name), 'utf8');
let authority: OtherAuthority;

beforeAll(async () => {
  authority = await otherAuthority(folder);
  for (const name of ['first', 'second', 'over']) await authority.issue(name);
  await authority.expire('over');
  await put('first');
});
afterAll(() => rmSync(folder, { recursive: true }));

/** As an ACME client leaves them: key and chain, each replaced in one step. */
async function put(name: string) {
  writeFileSync(file('new.key'), read(`${name}.key`), { mode: 0o600 });
  renameSync(file('new.key'), file('public.key'));
  writeFileSync(file('new.pem'), read(`${name}.pem`) + read('intermediate.pem'));
  renameSync(file('new.pem'), file('public.pem'));
}

describe('a certificate of another CA', () => {
  const clock = new FakeClock(Date.now() + DAY / 24);
  const secrets = secretResolver(secretsConfig.parse({}), {});
  const tls = (certificate: string, key = 'first.key', at = clock, readTls = readConfiguredTls) => {
    const privateKey = secretReference.parse(`file://${file(key)}`);
    return readTls({ certificateFile: certificate, privateKey, secrets, clock: at });
  };
  const chain = (...names: string[]) => {
    writeFileSync(file('chain.pem'), names.map((name) => read(`${name}.pem`)).join(''));
    return file('chain.pem');
  };

  it('is taken with its chain, with and without the root — covers: K133', async () => {
    for (const names of [['first'], ['first', 'intermediate'], ['first', 'intermediate', 'root']])
      expect(await tls(chain(...names))).toEqual({
        cert: names.map((name) => read(`${name}.pem`)).join(''),
        key: read('first.key'),
      });
  });

  it.each<[string, () => Promise<unknown>, string]>([
    ['is not there', () => tls('/nowhere'), '/nowhere: it cannot be read (ENOENT'],
    ['is a key', () => tls(file('first.key')), 'There is no PEM block "CERTIFICATE"'],
    [
      'comes after who signed it',
      () => tls(chain('intermediate', 'first')),
      'the certificate of CN=Other first has not signed the certificate of CN=Other intermediate, which stands before it',
    ],
    [
      'is followed by a CA of another',
      () => tls(chain('first', 'root')),
      'CN=Other root has not signed the certificate of CN=Other first',
    ],
    [
      'has another key',
      () => tls(chain('first'), 'second.key'),
      `its first certificate is not of the key file://${file('second.key')}`,
    ],
    ['has no key', () => tls(chain('first'), 'first.pem'), 'it is no private key in PEM'],
    [
      'has expired',
      () => tls(chain('first'), 'first.key', new FakeClock(Date.now() + 11 * DAY)),
      'the certificate of CN=Other first expired at 2',
    ],
    [
      'is of tomorrow',
      () => tls(chain('first'), 'first.key', new FakeClock(Date.now() - DAY)),
      'the certificate of CN=Other first is not valid before 2',
    ],
  ])('that %s is refused — covers: K133', async (_, taken, why) => {
    chmodSync(file('first.pem'), 0o600);
    await expect(taken()).rejects.toThrow(why);
  });

  it('is taken at a start when it has expired, and for no other fault — covers: K133', async () => {
    const atStart = (key: string, days: number) =>
      tls(chain('first'), key, new FakeClock(Date.now() + days * DAY), readConfiguredTlsAtStart);
    expect(await atStart('first.key', 11)).toMatchObject({ cert: read('first.pem') });
    await expect(atStart('second.key', 11)).rejects.toThrow('is not of the key');
    await expect(atStart('first.key', -1)).rejects.toThrow('is not valid before 2');
  });
});

describe.each(MODES)('the public listener, %s', (mode) => {
  beforeAll(() => put('over'));
  const flags = ['--https-tls-certificate-file', file('public.pem')];
  const shared = usePki(
    mode,
    ...flags,
    ...['--https-tls-private-key', `file://${file('public.key')}`],
  );

  const log = () => readFileSync(join(shared.pki.dataDir, 'logs', 'gigvault.log'), 'utf8');

  function hangup() {
    const run = readFileSync(join(shared.pki.dataDir, 'run.json'), 'utf8');
    process.kill((JSON.parse(run) as { pid: number }).pid, 'SIGHUP');
  }

  /** The subject that a client sees who trusts the other CA alone, and openssl's verdict. */
  async function shown(port: number): Promise<string> {
    const { stdout } = await runProgram(
      'openssl',
      [
        ...['s_client', '-connect', `localhost:${port}`, '-CAfile', file('root.pem')],
        ...['-verify_hostname', 'localhost', '-verify_return_error'],
      ],
      { input: '' },
    );
    return stdout;
  }

  it(
    'is started with one that has expired, serves status, and tells of it until SIGHUP — covers: K133',
    async () => {
      const { pki, http } = shared;
      expect(pki.errors()).toMatch(
        /^ {2}! \/\S+: the certificate of .+ expired at \d{4}-.+Z\.\n {4}Clients refuse the public listener until it is replaced/m,
      );
      expect((await http.fetch(`${pki.statusUrl}/crl/issuing/0.crl`)).status).toBe(200);
      expect(await shown(pki.ports.https)).toContain('certificate has expired');

      const operators = operatorsOf('edge', mode, pki);
      const alarm = async () => {
        const url = `${operators.admin}/admin/v1/healthz?verbose`;
        const { checks } = (await operators.http.fetch(url)).json<{ checks: { name: string }[] }>();
        return checks.find(({ name }) => name === 'public-certificate');
      };
      const end = async () => {
        const { text } = await operators.http.fetch(operators.metrics);
        const gauge = /^gigvault_public_certificate_not_after_timestamp_seconds (\S+)$/m;
        return Number(gauge.exec(text)?.[1]);
      };
      try {
        expect(await end()).toBeLessThan(Date.now() / 1000);
        if (mode === 'one process') {
          const message = expect.stringContaining('ends at');
          expect(await alarm()).toMatchObject({ ok: false, message });
          const ready = await operators.http.fetch(`${operators.admin}/admin/v1/readyz`);
          expect(ready.status).toBe(200);
        }
        hangup();
        await eventually(() => expect(log()).toContain('CN=Other over expired at'));

        await put('first');
        hangup();
        await eventually(async () => expect(await end()).toBeGreaterThan(Date.now() / 1000));
        if (mode === 'one process') expect(await alarm()).toMatchObject({ ok: true });
      } finally {
        operators.http.close();
      }
    },
    START_TIMEOUT,
  );

  it(
    'shows it, with its chain, and another one after SIGHUP; a wrong one changes nothing — covers: K133, K134',
    async () => {
      const { pki } = shared;
      const http = httpClient(Buffer.from(read('root.pem')));
      try {
        expect((await http.fetch(`${pki.publicUrl}/ready`)).status).toBe(200);
      } finally {
        http.close();
      }
      for (const port of [pki.ports.https, pki.ports.keyApi])
        expect(await shown(port)).toContain('CN = Other first');
      // The command trusts it without being told.
      expect(await pki.cli('status')).toMatchObject({ code: 0 });

      writeFileSync(file('public.key'), read('second.key'), { mode: 0o600 });
      hangup();
      await eventually(() => expect(log()).toContain('its first certificate is not of the key'));
      expect(await shown(pki.ports.https)).toContain('CN = Other first');

      await put('second');
      hangup();
      for (const port of [pki.ports.https, pki.ports.keyApi])
        await eventually(async () => expect(await shown(port)).toContain('CN = Other second'));
      await put('first');
    },
    START_TIMEOUT,
  );
});
