import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parsePkcs11Uri } from '@gigvault/keystore/pkcs11/pkcs11-uri';
import { runOrFail } from '@gigvault/testkit/run-program';
import { addSoftHsmToken, softHsmToken } from '@gigvault/testkit/softhsm-token';
import { TEST_PIN, type TestToken } from '@gigvault/testkit/test-token';
import { systemClock } from '@gigvault/time/clock';
import { readCertificate } from '@gigvault/x509/certificate';
import { fromPem, toPem } from '@gigvault/x509/pem';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { machineRoom } from '../src/adapters/machine-room.ts';
import { tokenKeyKeeper } from '../src/adapters/token-key-keeper.ts';
import {
  newTokenRootKey,
  openToken,
  readTokenRecord,
  requireLongPin,
  type TokenRecord,
  writeTokenRecord,
} from '../src/adapters/token-root-key.ts';
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

  it('is used in its own token alone, whatever others are called — covers: T64', async () => {
    await addSoftHsmToken(token, 'twin');
    const uri = token.uri.replace('token=root', 'token=twin');
    await create('twin', uri);
    const [, serial] =
      /^serial: "?(\w+)"?$/m.exec(await readFile(at('twin/token.yaml'), 'utf8')) ?? [];
    expect(await readFile(at('twin/token.yaml'), 'utf8')).toContain(
      `(SoftHSM v2, serial ${serial})`,
    );
    // With another PIN: it is not even tried there.
    await addSoftHsmToken(token, 'twin', '87654321');
    await rootca('crl', '--root', at('twin'));
    await rootca('crl', '--root', at('twin'), '--hsm', uri);
    await runOrFail('softhsm2-util', ['--delete-token', '--serial', serial as string], {
      env: { ...process.env, ...token.environment },
    });
    const refused = new RegExp(
      `key belongs into token 'twin' .SoftHSM v2, serial ${serial}.*No token is what the URI says.*token 'twin'`,
    );
    await expect(rootca('crl', '--root', at('twin'))).rejects.toThrow(refused);
    await expect(rootca('crl', '--root', at('twin'), '--hsm', uri)).rejects.toThrow(refused);
    // A copy of the key, that somebody names.
    const named = uri.replace('token=twin', `token=root;serial=${await serialOf('root')}`);
    await expect(rootca('crl', '--root', at('twin'), '--hsm', named)).rejects.toMatchObject({
      code: 'KEY_NOT_FOUND',
    });
  });

  it('goes on where a process died after it had noted the key, with that key and that token', async () => {
    await addSoftHsmToken(token, 'begun');
    const uri = token.uri.replace('token=root', 'token=begun');
    const died = new Error('died');
    let record = '';
    const note = async (noted: TokenRecord) => {
      record = writeTokenRecord(noted);
      throw died;
    };
    await expect(newTokenRootKey({ uri, plan, note })).rejects.toBe(died);
    expect(await privateKeysIn('begun')).toBe('');
    await mkdir(at('begun'));
    await writeFile(at('begun/token.yaml'), record);
    await expect(create('begun')).rejects.toThrow("key belongs into token 'begun'");
    expect(await readFile(at('begun/token.yaml'), 'utf8')).toBe(record);
    // And once more, after it was made.
    const noted = readTokenRecord(record);
    const made = await newTokenRootKey({ uri, plan, noted, note: async () => undefined });
    await made.close();
    await create('begun', uri);
    expect((await privateKeysIn('begun')).match(/Private Key Object/g)).toHaveLength(1);
    expect(readCertificate(certificateIn('begun')).spki).toEqual(made.publicKey.spki);
    expect((await rootca('verify', '--dir', at('begun'))).exitCode).toBe(0);
    await rm(at('begun/root.crt'));
    await expect(create('begun', uri)).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
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
      .make(plan, randomBytes(32), async () => undefined)
      .then((key) => key.close());
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
    const { key, content } = await kept(keeper, secret);
    await keeper.lock(content, secret);
    await keeper.lock(content, secret);
    const again = await keeper.open(content, secret);
    expect(again.publicKey.spki).toEqual(key.publicKey.spki);
    await again.close();
    await expect(keeper.lock(content, randomBytes(32))).rejects.toThrow('The PIN is wrong');
  });

  it('leaves no key that nobody knows of where a process died while it was made', async () => {
    await addSoftHsmToken(token, 'early');
    const keeper = tokenKeyKeeper(token.uri.replace('token=root', 'token=early'), false);
    let content = '';
    const dies = keeper.make(plan, randomBytes(32), async (noted) => {
      content = noted;
      expect(await privateKeysIn('early')).toBe('');
      throw new Error('died');
    });
    await expect(dies).rejects.toThrow('died');
    await keeper.destroy(content);
    ({ content } = await kept(keeper, randomBytes(32)));
    expect(await privateKeysIn('early')).toContain('Private Key Object');
    await keeper.destroy(content);
    await keeper.destroy(content);
    expect(await privateKeysIn('early')).toBe('');
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
    const { content } = await kept(right, randomBytes(32));
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

const certificateIn = (out: string) =>
  fromPem(readFileSync(at(`${out}/root.crt`), 'utf8'), 'CERTIFICATE')[0] as Buffer;

async function serialOf(label: string): Promise<string> {
  const store = openToken(token.uri.replace('token=root', `token=${label}`));
  return (await store.token().finally(() => store.close())).serialNumber;
}

/** A new key, closed, and what is kept of it. */
async function kept(keeper: KeyKeeper, secret: Buffer) {
  let content = '';
  const key = await keeper.make(plan, secret, async (noted) => {
    content = noted;
  });
  await key.close();
  return { key, content };
}

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
