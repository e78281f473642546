import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readCertList } from '@gigvault/x509/crl';
import { fromPem, toPem } from '@gigvault/x509/pem';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { rootcaProgram } from '../src/program.ts';
import { VERSION } from '../src/version.ts';
import { clock, newKey, plan, request } from './ceremony-fixture.ts';

let directory: string;
let output: string[];
let exitCode: number;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gigvault-rootca-'));
  await writeFile(at('plan.yaml'), JSON.stringify(plan));
});
afterAll(() => rm(directory, { recursive: true }));

const at = (name: string) => join(directory, name);

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
    clock,
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
      await rootca(
        ...['sign', '--root', at('root'), '--passphrase-file', at('passphrase'), '--kind', kind],
        ...['--csr', at(`${kind}.csr`), '--out', at(`root/${kind}.crt`)],
      );
    }
    await rootca(
      'crl',
      '--root',
      at('root'),
      '--passphrase-file',
      at('passphrase'),
      '--revoke',
      '01:AB@4',
    );
    const [crl] = fromPem(await readFile(at('root/root.crl'), 'utf8'), 'X509 CRL');
    expect([...readCertList(crl!).entries()]).toMatchObject([
      { serialNumber: '01ab', reasonCode: 4 },
    ]);

    await rootca('verify', '--dir', at('root'));
    expect(output).toEqual(
      [
        ...['issuing.crt', 'issuing.crt.transcript.json', 'root.crl', 'root.crt'],
        ...['services.crt', 'services.crt.transcript.json', 'transcript.json'],
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
  });

  it('has the version of its package', async () => {
    const file = fileURLToPath(new URL('../package.json', import.meta.url));
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ version: VERSION });
  });
});
