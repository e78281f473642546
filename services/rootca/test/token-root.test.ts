import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runOrFail } from '@gigvault/testkit/run-program';
import { softHsmToken } from '@gigvault/testkit/softhsm-token';
import type { TestToken } from '@gigvault/testkit/test-token';
import { systemClock } from '@gigvault/time/clock';
import { toPem } from '@gigvault/x509/pem';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { rootcaProgram } from '../src/program.ts';
import { newKey, plan, request, surroundings } from './ceremony-fixture.ts';

let token: TestToken;
let folder: string;

beforeAll(async () => {
  token = await softHsmToken({ label: 'root' });
  Object.assign(process.env, token.environment);
  folder = join(token.folder, '..');
  await writeFile(at('plan.yaml'), JSON.stringify(plan));
});
afterAll(() => token?.remove());

const at = (name: string) => join(folder, name);

/** What it printed, with the exit code that it set. */
async function rootca(...args: string[]): Promise<{ output: string; exitCode: number }> {
  const lines: string[] = [];
  let exitCode = 0;
  const print = (text: string) => void lines.push(text);
  const setExitCode = (code: number) => {
    exitCode = code;
  };
  await rootcaProgram({ print, setExitCode }, surroundings(systemClock)).parseAsync(args, {
    from: 'user',
  });
  return { output: lines.join('\n'), exitCode };
}

const create = (out: string, uri = token.uri) =>
  rootca('create', '--plan', at('plan.yaml'), '--out', at(out), '--hsm', uri);

const sign = (root: string, ...more: string[]) =>
  rootca(
    ...['sign', '--root', at(root), '--kind', 'issuing', '--csr', at('issuing.csr')],
    ...['--out', at(`${root}/issuing.crt`), ...more],
  );

describe('a root in a token', () => {
  it('is created, signs, issues CRLs and is verified, and its key is in no file — covers: G91', async () => {
    const { output } = await create('root');
    expect(output).not.toContain('passphrase');
    await writeFile(at('issuing.csr'), toPem('CERTIFICATE REQUEST', request('issuing', newKey())));
    await sign('root');
    await rootca('crl', '--root', at('root'), '--revoke', '01ab@4');
    expect((await rootca('verify', '--dir', at('root'))).exitCode).toBe(0);
    await runOrFail('openssl', ['verify', '-CAfile', at('root/root.crt'), at('root/issuing.crt')]);
    const files = await readdir(at('root'));
    expect(files).toContain('token.yaml');
    for (const file of files)
      expect(await readFile(at(`root/${file}`), 'utf8')).not.toContain('PRIVATE KEY');
  });

  it('is not made twice, and not with another token than there is', async () => {
    await expect(create('root')).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    await expect(create('other', token.uri.replace('token=root', 'token=nobody'))).rejects.toThrow(
      "Tokens there: token 'root'",
    );
    expect(await readdir(at('other'))).toEqual([]);
  });

  it('signs nothing with another root’s key, or when the token has lost it', async () => {
    await create('second');
    await writeFile(at('second/token.yaml'), await readFile(at('root/token.yaml')));
    await expect(sign('second')).rejects.toThrow('not the one of the root certificate');
    const record = await readFile(at('root/token.yaml'), 'utf8');
    await writeFile(
      at('second/token.yaml'),
      record.replace(/handle: .*/, `handle: ${crypto.randomUUID()}`),
    );
    await expect(sign('second')).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
    await writeFile(at('second/token.yaml'), 'nonsense');
    await expect(sign('second')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await rm(at('second'), { recursive: true });
  });

  it('takes the URI that the token has now, and asks for a passphrase where the key is in a file', async () => {
    const before = await readFile(at('root/token.yaml'), 'utf8');
    await writeFile(at('root/token.yaml'), before.replace('token=root', 'token=renamed'));
    await rm(at('root/issuing.crt'));
    await rm(at('root/issuing.crt.transcript.json'));
    await expect(sign('root')).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
    await sign('root', '--hsm', token.uri);
    await writeFile(at('root/token.yaml'), before);
    await rootca('create', '--plan', at('plan.yaml'), '--out', at('file'));
    await expect(sign('file')).rejects.toThrow('--passphrase-file');
  });
});
