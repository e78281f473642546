import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readCertList } from '@gigvault/x509/crl';
import { fromPem, toPem } from '@gigvault/x509/pem';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createRoot } from '../src/ceremony/create-root.ts';
import { issueRootCrl } from '../src/ceremony/issue-root-crl.ts';
import { newMemoryRootKey } from '../src/ceremony/root-key.ts';
import { signSubordinateCa } from '../src/ceremony/sign-subordinate-ca.ts';
import type { SubordinateKind } from '../src/plan/plan.ts';
import { rootcaProgram } from '../src/program.ts';
import { VERSION } from '../src/version.ts';
import { clock, newKey, plan, request, surroundings } from './ceremony-fixture.ts';

let directory: string;
let output: string[];
let exitCode: number;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gigvault-rootca-'));
  await writeFile(at('plan.yaml'), JSON.stringify(plan));
});
afterAll(() => rm(directory, { recursive: true }));

const at = (name: string) => join(directory, name);

const passphraseOf = () => ['--root', at('root'), '--passphrase-file', at('passphrase')];

const crl = (...revoke: string[]) =>
  rootca('crl', ...passphraseOf(), ...revoke.flatMap((serial) => ['--revoke', serial]));

const sign = (kind: SubordinateKind, out = `root/${kind}.crt`) =>
  rootca('sign', ...passphraseOf(), '--kind', kind, '--csr', at(`${kind}.csr`), '--out', at(out));

/** For the issuing CA of the same plan, by another root. */
async function foreignCertificate(): Promise<string> {
  const csr = request('issuing', newKey());
  const root = await createRoot(plan, newMemoryRootKey(), clock);
  return toPem('CERTIFICATE', (await signSubordinateCa(root, 'issuing', csr, clock)).der);
}

async function edit(path: string, from: string, to: string): Promise<void> {
  await writeFile(path, (await readFile(path, 'utf8')).replace(from, to));
}

async function rootca(...args: string[]): Promise<string> {
  output = [];
  exitCode = 0;
  const program = rootcaProgram(
    {
      print: (text) => void output.push(text),
      setExitCode(code) {
        exitCode = code;
      },
    },
    surroundings(),
  );
  await program.parseAsync(args, { from: 'user' });
  return output.join('\n');
}

describe('rootca by hand', () => {
  it('creates a root, signs both CAs, revokes one, and verifies it all', async () => {
    const shown = await rootca('create', '--plan', at('plan.yaml'), '--out', at('root'));
    const [, passphrase = ''] = /passphrase\s+(\S+)/.exec(shown) ?? [];
    await writeFile(at('passphrase'), `${passphrase}\n`, { mode: 0o600 });
    expect((await stat(at('root/root.key'))).mode & 0o777).toBe(0o600);

    for (const kind of ['issuing', 'services'] as const) {
      await writeFile(at(`${kind}.csr`), toPem('CERTIFICATE REQUEST', request(kind, newKey())));
      await sign(kind);
    }
    // The issuing CA's second key, as at a rotation.
    const next = request('issuing', newKey(), 2);
    await writeFile(at('issuing.csr'), toPem('CERTIFICATE REQUEST', next));
    await sign('issuing', 'root/issuing-g2.crt');
    await copyFile(at('root/root.crl'), at('first.crl'));
    await crl('01:AB@4');
    const [list] = fromPem(await readFile(at('root/root.crl'), 'utf8'), 'X509 CRL');
    expect([...readCertList(list!).entries()]).toMatchObject([
      { serialNumber: '01ab', reasonCode: 4 },
    ]);

    await rootca('verify', '--dir', at('root'));
    expect(output).toEqual(
      [
        ...['issuing-g2.crt', 'issuing-g2.crt.transcript.json'],
        ...['issuing.crt', 'issuing.crt.transcript.json', 'plan.yaml', 'root.crl'],
        ...['root.crl.2.transcript.json', 'root.crt', 'services.crt'],
        ...['services.crt.transcript.json', 'transcript.json'],
      ].map((file) => `[ ok ] ${file}`),
    );
    expect(exitCode).toBe(0);
  });

  it('never overwrites a root', async () => {
    await expect(
      rootca('create', '--plan', at('plan.yaml'), '--out', at('root')),
    ).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
  });

  it('says what is wrong, with exit code 10, when a file was changed', async () => {
    const path = at('root/transcript.json');
    const transcript = await readFile(path, 'utf8');
    await writeFile(path, transcript.replace('made the root key', 'kept the root key'));
    await rootca('verify', '--dir', at('root'));
    expect(output).toContain(
      '[fail] transcript.json The transcript was changed, or another root signed it.',
    );
    expect(exitCode).toBe(10);
    await writeFile(path, transcript);
  });

  it.each<readonly [string, (path: string) => Promise<void>, string]>([
    ['plan.yaml', (path) => edit(path, 'gigvault.local', 'evil.example'), 'not the plan'],
    ['plan.yaml', rm, 'Cannot read'],
    ['transcript.json', rm, 'is missing'],
    ['root.crl', rm, 'is missing'],
    ['root.crl', (path) => copyFile(at('first.crl'), path), 'is not the newest: number 2'],
    ['issuing.crt.transcript.json', rm, 'stands in no transcript'],
    ['root.crl.2.transcript.json', rm, 'stands in no transcript'],
    [
      'issuing.crt',
      async (path) => writeFile(path, await foreignCertificate()),
      'is not signed by the root',
    ],
  ])('verify misses nothing: %s, %s', async (file, change, problem) => {
    const path = at(`root/${file}`);
    const before = await readFile(path);
    await change(path);
    await rootca('verify', '--dir', at('root'));
    expect(output.filter((line) => line.startsWith('[fail]')).join('\n')).toContain(problem);
    expect(exitCode).toBe(10);
    await writeFile(path, before);
    await rootca('verify', '--dir', at('root'));
    expect(exitCode).toBe(0);
  });

  it('never overwrites what it has signed', async () => {
    const files = ['root/issuing.crt', 'root/issuing.crt.transcript.json'] as const;
    const read = () => Promise.all(files.map((file) => readFile(at(file), 'utf8')));
    const before = await read();
    await expect(sign('issuing')).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    await rm(at(files[0]));
    await expect(sign('issuing')).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    await writeFile(at(files[0]), before[0] as string);
    expect(await read()).toEqual(before);
    await expect(sign('issuing', 'nowhere/issuing.crt')).rejects.toThrow('does not exist');
  });

  it('signs under the plan of the root only', async () => {
    const before = await readFile(at('root/plan.yaml'));
    await edit(at('root/plan.yaml'), 'gigvault.local', 'evil.example');
    await expect(sign('services', 'root/evil.crt')).rejects.toThrow('not the plan');
    await writeFile(at('root/plan.yaml'), before);
  });

  it('forgets no revocation: a CRL that is not the newest, or another root’s, has no next one', async () => {
    const newest = await readFile(at('root/root.crl'));
    await copyFile(at('first.crl'), at('root/root.crl'));
    await expect(crl()).rejects.toThrow('the transcripts tell of number 2');
    const foreign = await issueRootCrl(await createRoot(plan, newMemoryRootKey(), clock), clock);
    await writeFile(at('root/root.crl'), toPem('X509 CRL', foreign));
    await expect(crl()).rejects.toThrow("is not this root's");
    await writeFile(at('root/root.crl'), newest);
    await expect(crl('01ac@8')).rejects.toThrow('--revoke is');
  });

  it('refuses a wrong passphrase', async () => {
    await writeFile(at('wrong'), '00000-00000-00000-00000-00000-00000');
    const attempt = rootca('crl', '--root', at('root'), '--passphrase-file', at('wrong'));
    await expect(attempt).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
  });

  it('runs as a process, with exit codes', async () => {
    const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, [main, 'verify', '--dir', at('root')]);
    expect(stdout).toContain('[ ok ] root.crt');
    const missing = run(process.execPath, [main, 'verify', '--dir', at('nothing')]);
    await expect(missing).rejects.toMatchObject({
      code: 5,
      stderr: expect.stringContaining('GV-NOT-FOUND'),
    });
    for (const wrong of [[], ['frob'], ['verify'], ['verify', '--dir', at('root'), 'more']])
      await expect(run(process.execPath, [main, ...wrong])).rejects.toMatchObject({ code: 2 });
    expect((await run(process.execPath, [main, '--help'])).stdout).toContain(
      'Usage: gigvault rootca',
    );
  }, 60_000);

  it('has the version of its package', async () => {
    const file = fileURLToPath(new URL('../package.json', import.meta.url));
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ version: VERSION });
  });
});
