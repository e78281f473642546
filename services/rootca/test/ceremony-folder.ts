import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toPem } from '@gigvault/x509/pem';
import { afterAll, beforeAll } from '@jest/globals';
import { machineRoom } from '../src/adapters/machine-room.ts';
import { initCeremony } from '../src/commands/init.ts';
import { rootcaProgram } from '../src/program.ts';
import { clock, newKey, request, surroundings } from './ceremony-fixture.ts';
import { paperOperator } from './paper-operator.ts';

/** What a file of answers says in these tests. */
const ANSWERS = {
  plan: true,
  clock: true,
  fingerprint: true,
  'accept.network': 'a machine for tests',
  'accept.swap': 'a machine for tests',
  'accept.entropy': 'a machine for tests',
};

/** A folder with a plan and requests, and the commands that work in it. */
export interface CeremonyFolder {
  /** A path in it. */
  at(name: string): string;
  /** What the last command printed. */
  readonly output: string;
  readonly exitCode: number;
  /** The checks that failed, of what the last command printed. */
  fails(): string[];
  gigvault(...args: string[]): Promise<void>;
  /** A rehearsal whose shares go into `<out>-shares`, or an attempt at a real one. */
  answer(out: string, ...more: string[]): Promise<void>;
  /** The flags that name these files of shares. */
  sharesOf(...names: string[]): string[];
}

/** Makes the folder before the tests of a file, holds these ceremonies in it, and removes it after them. */
export function useCeremonies(...held: readonly string[]): CeremonyFolder {
  let folder: string;
  let output = '';
  let exitCode = 0;
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

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gigvault-ceremony-program-'));
    await gigvault(
      ...['init', '--from', at('usb/plan.yaml'), '--organization', 'Test', '--threshold', '2'],
      ...['--trust-domain', 'gigvault.local', '--status-url', 'http://localhost:8080'],
      ...['--holder', 'Ada', '--holder', 'Grace', '--holder', 'Edsger'],
    );
    for (const kind of ['issuing', 'services'] as const)
      await writeFile(at(`usb/${kind}.csr`), toPem('CERTIFICATE REQUEST', request(kind, newKey())));
    for (const out of held) await hold(out);
  }, 120_000);
  afterAll(() => rm(folder, { recursive: true }));

  return {
    at,
    get output() {
      return output;
    },
    get exitCode() {
      return exitCode;
    },
    fails: () => output.split('\n').filter((line) => line.startsWith('[fail]')),
    gigvault,
    async answer(out, ...more) {
      const answers = { answers: ANSWERS, shareFolder: at(`${out}-shares`) };
      await writeFile(at('answers.yaml'), JSON.stringify(answers));
      await gigvault(
        ...['init', '--ceremony', '--plan', at('usb/plan.yaml'), '--out', at(out)],
        ...['--answers', at('answers.yaml'), ...more],
      );
    },
    sharesOf: (...names) => names.flatMap((name) => ['--share-file', at(name)]),
  };
}

/** Writes a file anew. */
export async function edit(path: string, change: (text: string) => string): Promise<void> {
  await writeFile(path, change(await readFile(path, 'utf8')));
}
