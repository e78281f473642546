import { randomBytes } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parsePkcs11Uri } from '@gigvault/keystore/pkcs11/pkcs11-uri';
import { runOrFail } from '@gigvault/testkit/run-program';
import { addSoftHsmToken, softHsmToken } from '@gigvault/testkit/softhsm-token';
import { TEST_PIN, type TestToken } from '@gigvault/testkit/test-token';
import { systemClock } from '@gigvault/time/clock';
import { toPem } from '@gigvault/x509/pem';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { machineRoom } from '../src/adapters/machine-room.ts';
import { tokenKeyKeeper } from '../src/adapters/token-key-keeper.ts';
import { openToken, requireLongPin } from '../src/adapters/token-root-key.ts';
import { initCeremony } from '../src/commands/init.ts';
import type { KeyKeeper } from '../src/ports/key-keeper.ts';
import { rootcaProgram } from '../src/program.ts';
import { newKey, plan, request, surroundings } from './ceremony-fixture.ts';
import { paperOperator } from './paper-operator.ts';

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

/** A rehearsal whose shares go into `<out>-shares`. */
async function rehearse(out: string, uri: string): Promise<void> {
  const yes = { plan: true, clock: true, fingerprint: true, resume: true };
  const accepted = ['network', 'swap', 'entropy'].map((what) => [`accept.${what}`, 'for tests']);
  const answers = { ...yes, ...Object.fromEntries(accepted) };
  await writeFile(
    at('answers.yaml'),
    JSON.stringify({ answers, shareFolder: at(`${out}-shares`) }),
  );
  const { output, exitCode } = await rootca(
    ...['init', '--ceremony', '--rehearse', '--plan', at('plan.yaml'), '--out', at(out)],
    ...['--hsm', uri, '--answers', at('answers.yaml'), '--shares', '3', '--threshold', '2'],
  );
  expect([exitCode, output]).toEqual([0, expect.not.stringContaining('[fail]')]);
}

/** A ceremony with people whose papers are in `<out>-shares`. */
async function hold(out: string, hsm: string): Promise<void> {
  const checks = await initCeremony(
    { plan: at('plan.yaml'), out: at(out), hsm, shares: '3', threshold: '2' },
    {
      clock: systemClock,
      operator: paperOperator(at(`${out}-shares`)),
      room: machineRoom(surroundings().program),
    },
  );
  expect(checks.filter(({ problem }) => problem !== undefined)).toEqual([]);
}

const shares = (...indexes: number[]) =>
  indexes.flatMap((index) => ['--share-file', at(`held-shares/share.${index}`)]);

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

describe('a ceremony with the root in a token', () => {
  let held: string;

  beforeAll(async () => {
    await addSoftHsmToken(token, 'held');
    held = token.uri.replace('token=root', 'token=held');
    for (const kind of ['issuing', 'services'] as const)
      await writeFile(at(`${kind}.csr`), toPem('CERTIFICATE REQUEST', request(kind, newKey())));
  });

  it('is rehearsed with a key that is destroyed, and leaves the PIN as it is', async () => {
    await rehearse('rehearsal', held);
    const files = await readdir(at('rehearsal'));
    expect(files).not.toContain('token.yaml');
    expect(await privateKeysIn('held')).toBe('');
    // The same lists a key where there is one.
    await tokenKeyKeeper(held, true)
      .make(plan, randomBytes(32))
      .then(({ key }) => key.close());
    expect(await privateKeysIn('held')).toContain('Private Key Object');
  });

  it('leaves a token that opens with enough shares, and with no PIN that anybody knows — covers: T64', async () => {
    await hold('held', held);
    await expect(create('beside', held)).rejects.toThrow('The PIN is wrong');
    const crl = (...more: string[]) => rootca('crl', '--root', at('held'), ...more);
    await expect(crl(...shares(1))).rejects.toThrow('2 shares are needed, here are 1');
    expect((await crl(...shares(3, 1))).output).toContain('number  2');
    expect((await rootca('verify', '--dir', at('held'))).exitCode).toBe(0);
    for (const file of await readdir(at('held')))
      if (file !== 'bundle')
        expect(await readFile(at(`held/${file}`), 'utf8')).not.toContain('PRIVATE KEY');
  });

  it('goes on where a process died after it had changed the PIN', async () => {
    await addSoftHsmToken(token, 'died');
    const died = token.uri.replace('token=root', 'token=died');
    const keeper = tokenKeyKeeper(died, false);
    const secret = randomBytes(32);
    const { key, content } = await keeper.make(plan, secret);
    await key.close();
    await keeper.lock(content, secret);
    await keeper.lock(content, secret);
    const again = await keeper.open(content, secret);
    expect(again.publicKey.spki).toEqual(key.publicKey.spki);
    await again.close();
    await expect(keeper.lock(content, randomBytes(32))).rejects.toThrow('The PIN is wrong');
  });

  it('is not begun in a token that does not take the PIN', async () => {
    const store = openToken(token.uri);
    const facts = await store.token().finally(() => store.close());
    // As SoftHSM says (MIN_PIN_LEN, MAX_PIN_LEN), and softhsm2-util shows.
    expect(facts.pinLength).toEqual({ min: 4, max: 255 });
    expect(() => requireLongPin(facts)).not.toThrow();
    for (const pinLength of [
      { min: 4, max: 31 },
      { min: 33, max: 255 },
    ])
      expect(() => requireLongPin({ ...facts, pinLength })).toThrow(
        `has 32 characters, and ${facts.description} takes ${pinLength.min} to ${pinLength.max}`,
      );
  });

  it('touches no other token, even with the same PIN — covers: T64', async () => {
    for (const label of ['right', 'spare']) await addSoftHsmToken(token, label);
    const [right, spare] = ['right', 'spare'].map((label) =>
      tokenKeyKeeper(token.uri.replace('token=root', `token=${label}`), false),
    ) as [KeyKeeper, KeyKeeper];
    const { key, content } = await right.make(plan, randomBytes(32));
    await key.close();
    // As of a token without a serial number of its own.
    const anywhere = content.replace(/^serial: .*\n/m, '');
    expect(anywhere).not.toBe(content);
    await expect(spare.lock(anywhere, randomBytes(32))).rejects.toThrow('not in this token');
    await expect(spare.destroy(content)).rejects.toThrow('No token is what the URI says');
    expect(await privateKeysIn('spare')).toBe('');
    expect(await privateKeysIn('right')).toContain('Private Key Object');
    await right.destroy(content);
    expect(await privateKeysIn('right')).toBe('');
  });
});

/** Empty: there are none. */
function privateKeysIn(label: string): Promise<string> {
  const pin = ['--login', '--pin', TEST_PIN, '--token-label', label];
  return runOrFail(
    'pkcs11-tool',
    [
      '--module',
      parsePkcs11Uri(token.uri).modulePath,
      ...pin,
      '--list-objects',
      '--type',
      'privkey',
    ],
    { env: { ...process.env, ...token.environment } },
  );
}
