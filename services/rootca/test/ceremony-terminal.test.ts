import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { REPOSITORY } from '@gigvault/testkit/pki-process';
import { runOrFail, runProgram } from '@gigvault/testkit/run-program';
import { toPem } from '@gigvault/x509/pem';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { newKey, plan, request } from './ceremony-fixture.ts';
import { type PseudoTerminal, pseudoTerminal } from './pseudo-terminal.ts';

const HOLDERS = ['Ada', 'Grace', 'Edsger'];
const GIGVAULT = join(REPOSITORY, 'services', 'cli', 'bin', 'gigvault');
/** A line of a share, as `   1 abandon        2 ability …`. */
const WORDS = /(?: +\d+ [a-z]+){4}/g;

const CTRL_Z = String.fromCharCode(26);
let folder: string;
let terminal: PseudoTerminal;
const paper: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gigvault-terminal-'));
  await writeFile(
    at('plan.yaml'),
    JSON.stringify({ ...plan, custody: { threshold: 2, holders: HOLDERS } }),
  );
  for (const kind of ['issuing', 'services'] as const)
    await writeFile(at(`${kind}.csr`), toPem('CERTIFICATE REQUEST', request(kind, newKey())));
});
afterAll(async () => {
  await terminal?.kill();
  await rm(folder, { recursive: true });
});

const at = (name: string) => join(folder, name);

/** In a network namespace of its own there is nothing but loopback. */
const ceremony = () =>
  pseudoTerminal(
    `unshare --map-root-user --net ${GIGVAULT} init --ceremony --plan ${at('plan.yaml')} --out ${at('root')}`,
  );

/** Answers with `yes`, and accepts what the machine of the test cannot help. */
async function answerUntil(question: RegExp): Promise<void> {
  for (;;) {
    const [seen] = await terminal.see(
      new RegExp(`type why; Enter stops: |Type yes: |${question.source}`),
    );
    if (seen.startsWith('type why')) terminal.type('a machine for tests');
    else if (seen.startsWith('Type yes')) terminal.type('yes');
    else return;
  }
}

/** A holder copies what the screen shows. */
async function copyShare(): Promise<string> {
  await answerUntil(/Press Enter to see it\. /);
  terminal.type('');
  const [shown] = await terminal.see(/<screen>.*Then press Enter.*?cleared\. /s);
  // Nothing stops at Ctrl-Z: the share would stay on the screen.
  terminal.type(CTRL_Z);
  await terminal.see(/<\/screen>/);
  return (shown.match(WORDS) ?? []).join('\n');
}

/** All lines at once, as a paste is. */
async function typeShare(words: string): Promise<void> {
  await terminal.see(/An empty line ends it\..*?> /s);
  terminal.type(`${words.replaceAll('\n', '\r')}\r`);
}

describe('a ceremony at a terminal', () => {
  it('is killed while shares are given out, and goes on with those who have theirs — covers: T66', async () => {
    terminal = ceremony();
    for (const index of [1, 2]) {
      const words = await copyShare();
      paper.push(words);
      expect(words.match(/[a-z]+/g)).toHaveLength(32);
      await typeShare(words);
      await terminal.see(new RegExp(`share ${index} was read back`));
    }
    await terminal.see(/Press Enter to see it\. /);
    await terminal.kill();
    expect(terminal.output()).toContain('[ ok ] network only loopback');
    // Nothing of the shares is in what is left.
    for (const file of readdirSync(at('root'), { recursive: true, encoding: 'utf8' }))
      if (/\.(json|key|crt)$/.test(file))
        for (const words of paper)
          expect(readFileSync(at(`root/${file}`), 'utf8')).not.toContain(
            words.trim().split('\n')[0],
          );

    terminal = ceremony();
    await answerUntil(/Share 1 of the 2 that are needed/);
    await typeShare((paper[0] as string).replace(/[a-z]+/, 'zzzz'));
    await terminal.see(/<screen>✘ Word 1 is not in the list\. It is "zzzz"/);
    await typeShare(paper[0] as string);
    await terminal.see(/✔ share 1, Ada/);
    await typeShare(paper[1] as string);
    const third = await copyShare();
    await typeShare(third);
    expect(await terminal.ended()).toBe(0);
    expect(terminal.output()).toContain('[ ok ] shares');
    expect(terminal.output()).not.toContain('[fail]');
    // What is not cleared and may be scrolled back to has no share in it.
    const scrollback = terminal.output().replaceAll(/<screen>.*?<\/screen>/gs, '');
    expect(scrollback.match(WORDS)).toBeNull();
    expect(scrollback).not.toMatch(/^\[.{79}/m);
  }, 60_000);

  it('stops at Ctrl-C with exit code 130, and says that it goes on', async () => {
    terminal = pseudoTerminal(
      `${GIGVAULT} init --ceremony --rehearse --plan ${at('plan.yaml')} --out ${at('rehearsal')}`,
    );
    await terminal.see(/Type yes: /);
    terminal.type(String.fromCharCode(3));
    expect(await terminal.ended()).toBe(130);
    expect(terminal.output()).toContain('the same command goes on');
  });

  it('is verified by strangers, without a terminal; nobody is asked where nobody is', async () => {
    const verified = await runProgram(GIGVAULT, ['ceremony', 'verify', at('root/bundle')]);
    expect([verified.code, verified.stdout]).toEqual([0, expect.stringContaining('[ ok ] shares')]);
    // As docs/operations/ceremony.md has it.
    const sums = 'LC_ALL=C sha256sum chunks/*.js pkcs11-driver.js rootca.js | sha256sum';
    const sum = await runOrFail('sh', ['-c', sums], { cwd: join(REPOSITORY, 'dist') });
    expect(verified.stdout).toContain(sum.slice(0, 64));
    const arguments_ = ['init', '--ceremony', '--plan', at('plan.yaml'), '--out', at('nobody')];
    const asked = await runProgram(GIGVAULT, arguments_);
    expect([asked.code, asked.stderr]).toEqual([2, expect.stringContaining('this is no terminal')]);
  });
});
