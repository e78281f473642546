import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import type { Command } from 'commander';
import { combine } from 'shamir-secret-sharing';
import { decodeShare } from '../src/custody/share.ts';
import { rootcaProgram } from '../src/program.ts';
import { surroundings } from './ceremony-fixture.ts';
import { edit, useCeremonies } from './ceremony-folder.ts';

const ceremonies = useCeremonies('root', 'other');
const { at, answer, fails, gigvault, sharesOf } = ceremonies;
const crl = (...more: string[]) => gigvault('crl', '--root', at('root'), ...more);

describe('one person with a file of answers', () => {
  it('cannot hold a real ceremony alone, only rehearse one — covers: T64', async () => {
    await expect(answer('alone')).rejects.toThrow('shareFolder is for rehearsals');
    expect([existsSync(at('alone')), existsSync(at('alone-shares'))]).toEqual([false, false]);
  });
});

describe('a root whose key is held by several', () => {
  it('issues a CRL with enough shares, which verifies with the bundle', async () => {
    await crl('--revoke', '01ab@4', ...sharesOf('root-shares/share.3', 'root-shares/share.1'));
    expect(ceremonies.output).toContain('number  2');
    await cp(at('root/bundle'), at('online'), { recursive: true });
    await cp(at('root/root.crl'), at('online/root.crl'));
    await gigvault('ceremony', 'verify', at('online'));
    expect(fails()[0]).toContain('root.crl stands in no transcript');
    await cp(at('root/root.crl.2.transcript.json'), at('online/root.crl.2.transcript.json'));
    await gigvault('ceremony', 'verify', at('online'));
    expect([ceremonies.exitCode, fails()]).toEqual([0, []]);
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
    expect(ceremonies.output).toContain('[ ok ] issuing-2.crt');
    expect(ceremonies.exitCode).toBe(0);
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
    await gigvault('create', '--plan', at('usb/plan.yaml'), '--out', at('plain'));
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
