import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { buildProgram, COMMANDS, NOUNS, OTHER_PROGRAMS } from '../src/program/program.ts';
import { createTestMachine, type TestMachine } from './test-terminal.ts';

let machine: TestMachine;

beforeEach(async () => {
  machine = await createTestMachine();
});

afterEach(() => machine.remove());

describe('the command line', () => {
  it.each(COMMANDS.map((spec) => [spec.usage, spec] as const))(
    '%s has help of at most 80 columns',
    async (_usage, spec) => {
      const words = spec.usage.replace(/ [<[].*$/, '').split(' ');
      if (OTHER_PROGRAMS.includes(words[0] ?? '')) return;
      const run = await machine.run([...words, '--help']);
      expect(run).toMatchObject({ code: 0, err: '' });
      expect(run.out.startsWith('Examples:\n  gigvault ')).toBe(true);
      expect(run.out.split('\n').filter((line) => [...line].length >= 80)).toEqual([]);
    },
  );

  it.each(COMMANDS.flatMap((spec) => spec.examples))(
    'understands its example: %s',
    async (example) => {
      const found: unknown[] = [];
      const terminal = { writeOut: () => undefined, writeErr: () => undefined };
      const program = buildProgram(terminal as never, (invocation) => found.push(invocation));
      const words = [...example.matchAll(/"([^"]*)"|(\S+)/g)].map(
        ([, quoted, plain]) => quoted ?? plain ?? '',
      );
      const end = words.indexOf('>');
      await program.parseAsync(words.slice(1, end === -1 ? undefined : end), { from: 'user' });
      expect(found).toHaveLength(1);
    },
  );

  it.each([
    ['certs', "unknown command 'certs'. Did you mean 'cert'?", 'gigvault --help'],
    ['cert crate api', "unknown command 'crate'. Did you mean 'create'?", 'gigvault cert --help'],
    ['context show status --bad', "unknown option '--bad'", 'gigvault context show --help'],
    [
      'cert create a --sam b',
      "unknown option '--sam'. Did you mean '--san'?",
      'gigvault cert create --help',
    ],
    ['cert create', "missing required argument 'cn'", 'gigvault cert create --help'],
    ['cert create a b', 'too many arguments', 'gigvault cert create --help'],
    ['cert list --status odd', "argument 'odd' is invalid", 'gigvault cert list --help'],
    ['cert', 'which command?', ''],
    ['status -o xml', "argument 'xml' is invalid", 'gigvault status --help'],
    ['cert create a --ttl soon', '"soon" is not a validity', 'gigvault cert create --help'],
    ['cert get api.localhost', 'is not a serial number', 'gigvault cert list --cn api.localhost'],
    ['cert revoke api --yes', 'is not a serial number', 'gigvault cert list --cn api'],
    ['apikey revoke 01', 'add --yes', 'try   gigvault apikey revoke 01 --yes'],
    ['cert list --limit 0', '"0" is not a limit', ''],
    ['status --timeout never', '"never" is not a timeout', ''],
  ])('%s: exit 2, says what is wrong', async (line, message, hint) => {
    const local = { server: 'https://localhost:1' };
    await machine.writeContexts('local', { local });
    const run = await machine.run(line);
    expect(run).toMatchObject({ code: 2, out: '' });
    expect(run.err).toContain(message);
    expect(run.err).toContain(hint);
  });

  it('shows its help without a command, as a usage failure', async () => {
    const run = await machine.run('');
    expect(run.code).toBe(2);
    expect(run.err).toContain('Commands:');
    expect((await machine.run('--help')).code).toBe(0);
  });

  it('takes global flags before and after the command', async () => {
    expect((await machine.run('-o json version')).out).toBe(
      (await machine.run('version -o json')).out,
    );
    expect((await machine.run('version', { env: { GIGVAULT_OUTPUT: 'name' } })).out).toBe(
      '0.1.0\n',
    );
  });

  it('refuses -o pem before it does anything that has no such form', async () => {
    const run = await machine.run('version -o pem');
    expect(run).toMatchObject({ code: 2, out: '' });
    expect(run.err).toContain('use -o table, json, yaml or name');
  });

  it.each(['--version', '-V', 'version', 'cert list --version'])(
    'shows its version: %s',
    async (line) => {
      const run = await machine.run(line);
      expect(run).toEqual({ code: 0, out: 'gigvault 0.1.0\n', err: '' });
    },
  );

  it.each(['--version -o json', '-o json -V'])('shows its version as data: %s', async (line) => {
    const run = await machine.run(line);
    expect(run).toMatchObject({ code: 0, err: '' });
    expect(JSON.parse(run.out)).toEqual({ name: 'gigvault', version: '0.1.0' });
  });

  it.each(Object.keys(NOUNS))('%s has help that begins with examples', async (noun) => {
    const run = await machine.run(`${noun} --help`);
    expect(run).toMatchObject({ code: 0, err: '' });
    expect(run.out.startsWith(`Examples:\n  gigvault ${noun} `)).toBe(true);
  });

  it.each(['up', 'rootca create --plan p', 'init --ceremony', 'ceremony verify b'])(
    '%s is another program',
    async (line) => {
      const run = await machine.run(line);
      expect(run).toMatchObject({ code: 2, out: '' });
      expect(run.err).toContain('in the folder of GigVault');
    },
  );

  it('uses colour only where it is wanted', async () => {
    const colour = '\u001b[';
    const onTty = { stderrIsTty: true };
    expect((await machine.run('certs')).err).not.toContain(colour);
    expect((await machine.run('certs', onTty)).err).toContain(colour);
    expect((await machine.run('certs --no-color', onTty)).err).not.toContain(colour);
    expect((await machine.run('certs', { ...onTty, env: { NO_COLOR: '1' } })).err).not.toContain(
      colour,
    );
    expect((await machine.run('certs', { ...onTty, env: { TERM: 'dumb' } })).err).not.toContain(
      colour,
    );
    expect((await machine.run('certs', { env: { FORCE_COLOR: '1' } })).err).toContain(colour);
  });

  it('uses ASCII where the locale is not UTF-8', async () => {
    await machine.writeContexts('a', { a: { server: 'https://localhost:1' } });
    expect((await machine.run('context use a', { env: { LC_ALL: 'C' } })).out).toBe(
      'ok Context  a\n',
    );
    expect((await machine.run('context use a', { env: { LANG: 'en_US.UTF-8' } })).out).toBe(
      '✔ Context  a\n',
    );
  });

  it('exits 130 when it is interrupted', async () => {
    const interrupted = new AbortController();
    interrupted.abort(new Error('interrupted'));
    await machine.writeContexts('a', { a: { server: 'https://localhost:1', apiKey: 'k' } });
    expect((await machine.run('whoami', { signal: interrupted.signal })).code).toBe(130);
  });
});

describe('bin/gigvault', () => {
  const bin = join(dirname(fileURLToPath(import.meta.url)), '..', 'bin', 'gigvault');
  let root: string;

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'gigvault-bin-'));
    mkdirSync(join(root, 'services', 'cli', 'bin'), { recursive: true });
    mkdirSync(join(root, 'with space'));
    copyFileSync(bin, join(root, 'services', 'cli', 'bin', 'gigvault'));
    chmodSync(join(root, 'services', 'cli', 'bin', 'gigvault'), 0o755);
    symlinkSync('../services/cli/bin/gigvault', join(root, 'with space', 'gigvault'));
    symlinkSync(join(root, 'with space', 'gigvault'), join(root, 'gv'));
  });

  afterAll(() => rmSync(root, { recursive: true }));

  const start = (...args: string[]) =>
    spawnSync(join(root, 'gv'), args, { cwd: '/', encoding: 'utf8' });

  it('says what to do when nothing is built', () => {
    const run = start('status');
    expect(run.status).toBe(1);
    expect(run.stdout).toBe('');
    expect(run.stderr).toContain('npm run up');
    expect(run.stderr).toContain('npm run build');
  });

  it('finds its program through symbolic links, and hands arguments and exit code over', () => {
    mkdirSync(join(root, 'dist'));
    writeFileSync(join(root, 'package.json'), '{"type":"module"}');
    writeFileSync(
      join(root, 'dist', 'cli.js'),
      'console.log("cli", JSON.stringify(process.argv.slice(2))); process.exitCode = 7;',
    );
    writeFileSync(
      join(root, 'dist', 'gigvault.js'),
      'console.log("server", JSON.stringify(process.argv.slice(2)));',
    );
    expect(start('cert', 'create', 'a b')).toMatchObject({
      status: 7,
      stdout: 'cli ["cert","create","a b"]\n',
    });
    writeFileSync(
      join(root, 'dist', 'rootca.js'),
      'console.log("rootca", JSON.stringify(process.argv.slice(2)));',
    );
    expect(start('rootca', 'verify', '--dir', 'a b')).toMatchObject({
      status: 0,
      stdout: 'rootca ["verify","--dir","a b"]\n',
    });
    expect(start('init', '--ceremony').stdout).toBe('rootca ["init","--ceremony"]\n');
    expect(start('ceremony', 'verify', 'b').stdout).toBe('rootca ["ceremony","verify","b"]\n');
    expect(start('up', '--https-port', '1')).toMatchObject({
      status: 0,
      stdout: 'server ["up","--https-port","1"]\n',
    });
  });
});
