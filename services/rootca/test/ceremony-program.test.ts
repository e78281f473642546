import { execFileSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromPem, toPem } from '@gigvault/x509/pem';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Command } from 'commander';
import { combine } from 'shamir-secret-sharing';
import { machineRoom } from '../src/adapters/machine-room.ts';
import { createRoot } from '../src/ceremony/create-root.ts';
import { fingerprintLines } from '../src/ceremony/fingerprint.ts';
import { issueRootCrl } from '../src/ceremony/issue-root-crl.ts';
import { newMemoryRootKey } from '../src/ceremony/root-key.ts';
import { initCeremony } from '../src/commands/init.ts';
import { decodeShare } from '../src/custody/share.ts';
import { parsePlan } from '../src/plan/plan.ts';
import { rootcaProgram } from '../src/program.ts';
import { clock, newKey, request, surroundings } from './ceremony-fixture.ts';
import { paperOperator } from './paper-operator.ts';

const ANSWERS = {
  plan: true,
  clock: true,
  fingerprint: true,
  'accept.network': 'a machine for tests',
  'accept.swap': 'a machine for tests',
  'accept.entropy': 'a machine for tests',
};

let folder: string;
let output: string;
let exitCode: number;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gigvault-ceremony-program-'));
  await gigvault(
    ...['init', '--from', at('usb/plan.yaml'), '--organization', 'Test', '--threshold', '2'],
    ...['--trust-domain', 'gigvault.local', '--status-url', 'http://localhost:8080'],
    ...['--holder', 'Ada', '--holder', 'Grace', '--holder', 'Edsger'],
  );
  for (const kind of ['issuing', 'services'] as const)
    await writeFile(at(`usb/${kind}.csr`), toPem('CERTIFICATE REQUEST', request(kind, newKey())));
  await hold('root');
  await hold('other');
}, 120_000);
afterAll(() => rm(folder, { recursive: true }));

const at = (name: string) => join(folder, name);

async function gigvault(...args: string[]): Promise<void> {
  output = '';
  exitCode = 0;
  const print = (text: string) => {
    output += `${text}\n`;
  };
  const setExitCode = (code: number) => {
    exitCode = code;
  };
  const program = rootcaProgram({ print, setExitCode }, surroundings());
  await program.parseAsync(args, { from: 'user' });
}

/** A rehearsal whose shares go into `<out>-shares`, or an attempt at a real one. */
async function answer(out: string, ...more: string[]): Promise<void> {
  const answers = { answers: ANSWERS, shareFolder: at(`${out}-shares`) };
  await writeFile(at('answers.yaml'), JSON.stringify(answers));
  await gigvault(
    ...['init', '--ceremony', '--plan', at('usb/plan.yaml'), '--out', at(out)],
    ...['--answers', at('answers.yaml'), ...more],
  );
}

/** A ceremony of people whose papers are in `<out>-shares`; a file answers the rest. */
async function hold(out: string): Promise<void> {
  await writeFile(at('people.yaml'), JSON.stringify({ answers: ANSWERS }));
  await initCeremony(
    { plan: at('usb/plan.yaml'), out: at(out), answers: at('people.yaml') },
    {
      clock,
      operator: paperOperator(at(`${out}-shares`)),
      room: machineRoom(surroundings().program),
    },
  );
}

const sharesOf = (...names: string[]) => names.flatMap((name) => ['--share-file', at(name)]);

const crl = (...more: string[]) => gigvault('crl', '--root', at('root'), ...more);

const verify = (...more: string[]) => gigvault('ceremony', 'verify', at('root/bundle'), ...more);

const fails = () => output.split('\n').filter((line) => line.startsWith('[fail]'));

async function edit(path: string, change: (text: string) => string): Promise<void> {
  await writeFile(path, change(await readFile(path, 'utf8')));
}

describe('ceremony verify', () => {
  it('believes a bundle, by its fingerprint in hex and in words', async () => {
    await verify();
    expect([exitCode, fails()]).toEqual([0, []]);
    expect(output).toContain(
      '[note] room: answers a file has answered 6 questions. Accepted: by --answers',
    );
    const { record } = JSON.parse(await readFile(at('root/bundle/transcript.json'), 'utf8'));
    const sum = hash('sha256', await readFile(at('people.yaml')), 'hex');
    expect(record.steps).toContainEqual(
      expect.objectContaining({ step: 'took answers from a file', sha256: sum }),
    );
    for (const line of output.split('\n')) expect([...line].length).toBeLessThan(80);
    const [der] = fromPem(await readFile(at('root/bundle/root.crt'), 'utf8'), 'CERTIFICATE');
    const [hex1 = '', hex2 = '', ...words] = fingerprintLines(der as Buffer);
    for (const known of [`${hex1} ${hex2}`, words.join(' ')]) {
      await verify('--fingerprint', known);
      expect(output).toContain('[ ok ] fingerprint');
      expect(exitCode).toBe(0);
    }
    await verify('--fingerprint', 'f'.repeat(64));
    expect(fails()).toEqual([
      '[fail] fingerprint is not the one that was given: this is another root',
    ]);
    expect(exitCode).toBe(10);
    await expect(verify('--fingerprint', 'abandon ability')).rejects.toThrow('24 words');
    const list = words.join(' ').trim().split(/\s+/);
    await expect(verify('--fingerprint', list.with(6, 'abandn').join(' '))).rejects.toThrow(
      'Word 7 is not in the list. It is "abandn". Did you mean "abandon"?',
    );
    const other = list[3] === 'zoo' ? 'zone' : 'zoo';
    const swapped = list.with(3, other).join(' ');
    await expect(verify('--fingerprint', swapped)).rejects.toThrow('do not belong together');
  });

  it('compares the program when somebody has written down which it was', async () => {
    await verify();
    const [sum = ''] = /(?<=program rootca 0\.1\.0\s+)[0-9a-f]{64}/.exec(output) ?? [];
    await verify('--program-sha256', sum);
    expect(exitCode).toBe(0);
    await verify(
      '--program-sha256',
      sum.replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
    );
    expect(fails()).toEqual(['[fail] program is not the one that was given']);
  });

  it.each<readonly [string, (bundle: string) => Promise<void>, string]>([
    [
      'a file is missing',
      (bundle) => rm(join(bundle, 'record.txt')),
      'sum of record.txt is missing',
    ],
    [
      'the record was changed',
      (bundle) => edit(join(bundle, 'record.txt'), (text) => text.replace('Ada', 'Eve')),
      'sum of record.txt was changed after the ceremony',
    ],
    [
      'the transcript was changed',
      (bundle) => edit(join(bundle, 'transcript.json'), (text) => text.replaceAll('Ada', 'Eve')),
      'transcript.json The transcript was changed, or another root signed it.',
    ],
    [
      'the plan was changed',
      (bundle) =>
        edit(join(bundle, 'plan.yaml'), (text) => text.replace('threshold: 2', 'threshold: 3')),
      'transcript.json plan.yaml is not the plan that the root was made with',
    ],
    [
      'a certificate is another root’s',
      (bundle) => cp(at('other/bundle/issuing.crt'), join(bundle, 'issuing.crt')),
      'issuing.crt is not signed by the root',
    ],
    [
      'the root is another one',
      (bundle) => cp(at('other/bundle/root.crt'), join(bundle, 'root.crt')),
      'transcript.json The transcript was changed, or another root signed it.',
    ],
    [
      'the CRL is another root’s',
      async (bundle) => {
        const root = await createRoot(
          parsePlan(await readFile(at('usb/plan.yaml'), 'utf8')),
          newMemoryRootKey(),
          clock,
        );
        await writeFile(
          join(bundle, 'root.crl'),
          toPem('X509 CRL', await issueRootCrl(root, clock)),
        );
      },
      'root.crl is not signed by the root',
    ],
    [
      'the key came along',
      (bundle) => cp(at('root/root.key'), join(bundle, 'root.key')),
      'no root key root.key is here: it must never leave the offline machine',
    ],
    [
      'there was no ceremony',
      (bundle) => rm(join(bundle, 'transcript.json')),
      'ceremony Cannot read',
    ],
  ])('says what is wrong when %s, with exit code 10', async (_what, change, message) => {
    await cp(at('root/bundle'), at('changed'), { recursive: true });
    await change(at('changed'));
    await gigvault('ceremony', 'verify', at('changed'));
    expect(fails().join('\n')).toContain(`[fail] ${message}`);
    expect(exitCode).toBe(10);
    await rm(at('changed'), { recursive: true });
  });

  it('takes no root without a ceremony, and no rehearsal for one', async () => {
    await gigvault('create', '--plan', at('usb/plan.yaml'), '--out', at('plain'));
    await rm(at('plain/root.key'));
    await gigvault('ceremony', 'verify', at('plain'));
    expect(fails()).toEqual(['[fail] ceremony the transcript does not tell of a key ceremony']);

    await answer('rehearsal', '--rehearse');
    expect(exitCode).toBe(0);
    await gigvault('ceremony', 'verify', at('rehearsal/bundle'));
    expect(fails()).toEqual(['[fail] no rehearsal is one: nothing of it may be used']);
    await gigvault('ceremony', 'verify', at('rehearsal/bundle'), '--rehearsal');
    expect(exitCode).toBe(0);
    const use = gigvault(
      'crl',
      '--root',
      at('rehearsal'),
      ...sharesOf('rehearsal-shares/share.1', 'rehearsal-shares/share.2'),
    );
    await expect(use).rejects.toMatchObject({ code: 'NOT_FOUND' });

    const plan = ['--plan', at('rehearsal/plan.yaml'), '--out', at('unreal')];
    const shares = ['--shares', '3', '--threshold', '2'];
    for (const command of [['create'], ['init', '--ceremony', ...shares]])
      await expect(gigvault(...command, ...plan)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('the plan of a rehearsal'),
      });
    expect(existsSync(at('unreal'))).toBe(false);
  });
});

describe('one person with a file of answers', () => {
  it('cannot hold a real ceremony alone, only rehearse one — covers: T64', async () => {
    await expect(answer('alone')).rejects.toThrow('shareFolder is for rehearsals');
    expect([existsSync(at('alone')), existsSync(at('alone-shares'))]).toEqual([false, false]);
  });
});

describe('a root whose key is held by several', () => {
  it('issues a CRL with enough shares, which verifies with the bundle', async () => {
    await crl('--revoke', '01ab@4', ...sharesOf('root-shares/share.3', 'root-shares/share.1'));
    expect(output).toContain('number  2');
    await cp(at('root/bundle'), at('online'), { recursive: true });
    await cp(at('root/root.crl'), at('online/root.crl'));
    await gigvault('ceremony', 'verify', at('online'));
    expect(fails()[0]).toContain('root.crl stands in no transcript');
    await cp(at('root/root.crl.2.transcript.json'), at('online/root.crl.2.transcript.json'));
    await gigvault('ceremony', 'verify', at('online'));
    expect([exitCode, fails()]).toEqual([0, []]);
  });

  it('signs another certificate with enough shares', async () => {
    await gigvault(
      ...['sign', '--root', at('root'), '--kind', 'issuing', '--csr', at('usb/issuing.csr')],
      ...[
        '--out',
        at('root/issuing-2.crt'),
        ...sharesOf('root-shares/share.2', 'root-shares/share.3'),
      ],
    );
    await gigvault('verify', '--dir', at('root'));
    expect(output).toContain('[ ok ] issuing-2.crt');
    expect(exitCode).toBe(0);
  });

  it.each<readonly [string, readonly string[], RegExp]>([
    ['too few', ['root-shares/share.1'], /^2 shares are needed, here are 1\.$/],
    [
      'the same one twice',
      ['root-shares/share.1', 'root-shares/share.1'],
      /share\.1: Share 1, Ada, was given already\.$/,
    ],
    [
      'one of another ceremony',
      ['root-shares/share.1', 'other-shares/share.2'],
      /share\.2: This is a share of another ceremony: of set/,
    ],
    [
      'a mistyped one',
      ['root-shares/share.1', 'mistyped'],
      /mistyped: Word 3 is not in the list\.$/,
    ],
    [
      'one that is none',
      ['root-shares/share.1', 'usb/issuing.csr'],
      /issuing\.csr: Word 2 is not in the list\.$/,
    ],
    ['a file that is not there', ['root-shares/share.1', 'nowhere'], /Cannot read .*nowhere/],
  ])('refuses %s, and nothing is changed — covers: T64', async (_what, files, message) => {
    await edit(at('root-shares/share.2'), (text) => text);
    await writeFile(
      at('mistyped'),
      (await readFile(at('root-shares/share.2'), 'utf8')).replace(/3 [a-z]+/, '3 xyzzy'),
    );
    const read = () =>
      Promise.all(
        ['root.key', 'root.crl', 'custody.json'].map((file) =>
          readFile(at(`root/${file}`), 'utf8'),
        ),
      );
    const before = await read();
    await expect(crl(...sharesOf(...files))).rejects.toThrow(message);
    expect(await read()).toEqual(before);
  });

  it('has no passphrase, and asks nobody where nobody is', async () => {
    await writeFile(at('p'), 'x');
    await expect(crl('--passphrase-file', at('p'))).rejects.toThrow('no passphrase');
    await expect(crl()).rejects.toThrow('this is no terminal');
    const plain = gigvault('crl', '--root', at('plain'), ...sharesOf('root-shares/share.1'));
    await expect(plain).rejects.toThrow('No shares were made');
  });

  it('is opened by openssl, once the shares are put together', async () => {
    const shares = await Promise.all(
      [1, 3].map((i) => readFile(at(`root-shares/share.${i}`), 'utf8')),
    );
    const secret = await combine(shares.map((text) => decodeShare(text).octets));
    const passphrase = Buffer.from(secret).toString('hex');
    const shown = execFileSync(
      'openssl',
      ['pkey', '-in', at('root/root.key'), '-passin', 'stdin', '-pubout'],
      {
        input: passphrase,
        encoding: 'utf8',
      },
    );
    const certified = ['x509', '-in', at('root/root.crt'), '-noout', '-pubkey'];
    expect(shown).toBe(execFileSync('openssl', certified, { encoding: 'utf8' }));
  });
});

describe('the help', () => {
  it.each(['create', 'sign', 'crl', 'verify', 'init', 'ceremony verify'])(
    'of %s begins with examples, in less than 80 columns',
    async (name) => {
      const shown: string[] = [];
      const program = rootcaProgram(
        { print: () => undefined, setExitCode: () => undefined },
        surroundings(),
      );
      const [command] = name
        .split(' ')
        .reduce<Command[]>(
          ([parent], word) => [parent!.commands.find((it) => it.name() === word) as Command],
          [program],
        );
      command!.configureOutput({ writeOut: (text) => void shown.push(text) }).outputHelp();
      const text = shown.join('');
      expect(text).toMatch(/^Examples:\n {2}gigvault /);
      for (const line of text.split('\n')) expect([...line].length).toBeLessThan(80);
    },
  );
});

describe('init', () => {
  it('says who holds shares when the plan does not, and not when it does', async () => {
    const other = [
      '--organization',
      'Test',
      '--trust-domain',
      'gigvault.local',
      '--status-url',
      'http://localhost:8080',
    ];
    await gigvault('init', '--plan', at('usb/open.yaml'), ...other);
    const of = (...more: string[]) =>
      gigvault('init', '--ceremony', '--out', at('open'), '--answers', at('answers.yaml'), ...more);
    await expect(of('--plan', at('usb/open.yaml'))).rejects.toThrow('--shares 5 --threshold 3');
    await expect(
      of('--plan', at('usb/plan.yaml'), '--shares', '5', '--threshold', '3'),
    ).rejects.toThrow('leave --shares');
    await of('--plan', at('usb/open.yaml'), '--rehearse', '--shares', '3', '--threshold', '2');
    expect(await readFile(at('open/bundle/record.txt'), 'utf8')).toContain('Holder 3');
  });

  it.each<readonly [string, readonly string[], RegExp]>([
    [
      'a plan that is there',
      [
        '--plan',
        'usb/plan.yaml',
        '--organization',
        'a',
        '--trust-domain',
        'a.b',
        '--status-url',
        'http://a',
      ],
      /exists already/,
    ],
    ['a plan of nothing', ['--plan', 'new.yaml'], /init writes a plan, from --organization/],
    [
      'a wrong plan',
      [
        '--plan',
        'new.yaml',
        '--organization',
        'a',
        '--trust-domain',
        'A',
        '--status-url',
        'http://a',
      ],
      /trustDomain/,
    ],
    [
      'one holder',
      [
        '--plan',
        'new.yaml',
        '--organization',
        'a',
        '--trust-domain',
        'a.b',
        '--status-url',
        'http://a',
        '--holder',
        'x',
        '--threshold',
        '1',
      ],
      /custody/,
    ],
    ['a ceremony nowhere', ['--ceremony', '--plan', 'usb/plan.yaml'], /--out/],
    [
      'a bundle with the key',
      ['--ceremony', '--plan', 'usb/plan.yaml', '--out', 'x', '--bundle', 'x'],
      /take two folders/,
    ],
    [
      'wrong answers',
      ['--ceremony', '--plan', 'usb/plan.yaml', '--out', 'x', '--answers', 'usb/plan.yaml'],
      /answers file is wrong/,
    ],
  ])('refuses %s', async (_what, args, message) => {
    const paths = args.map((arg) => (/\.yaml$|^x$/.test(arg) ? at(arg) : arg));
    await expect(gigvault('init', ...paths)).rejects.toThrow(message);
  });
});
