import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { type Clock, systemClock } from '@gigvault/time/clock';
import { Command } from 'commander';
import { machineRoom } from './adapters/machine-room.ts';
import { type TerminalStreams, terminalOperator } from './adapters/terminal-operator.ts';
import type { Check } from './ceremony/check.ts';
import { ceremonyVerify } from './commands/ceremony-verify.ts';
import { create } from './commands/create.ts';
import { crl } from './commands/crl.ts';
import { initCeremony, initPlan } from './commands/init.ts';
import { signCommand } from './commands/sign.ts';
import { verify } from './commands/verify.ts';
import { wrapped } from './text/wrapped.ts';
import { VERSION } from './version.ts';

/** Exit code of a check that failed, as everywhere in GigVault. */
const CHECK_FAILED = 10;

/** Columns of the help. */
const HELP_WIDTH = 79;

/** Where output goes. */
export interface Output {
  print(text: string): void;
  setExitCode(code: number): void;
}

/** The machine around the program. */
export interface Surroundings {
  readonly clock: Clock;
  /** Who is asked. */
  readonly streams: TerminalStreams;
  /** The file that was started. */
  readonly program: string;
}

const PROCESS: Surroundings = {
  clock: systemClock,
  streams: { input: process.stdin, output: process.stdout },
  program: process.argv[1] as string,
};

/** First words that stand alone: `gigvault init`, not `gigvault rootca init`. */
const OWN_WORDS: ReadonlySet<string | undefined> = new Set(['init', 'ceremony']);

/** What the commands are called, by the first word that was typed. */
export function programName(firstWord: string | undefined): string {
  return OWN_WORDS.has(firstWord) ? 'gigvault' : 'gigvault rootca';
}

/** The commands of the root's machine. Errors of commands are thrown; usage errors too, as CommanderError, once they are told on stderr. */
export function rootcaProgram(
  output: Output,
  around: Surroundings = PROCESS,
  name = 'gigvault rootca',
): Command {
  const program = new Command(name)
    .description('Offline root CA. Run it on a machine without a network.')
    .version(VERSION)
    .allowExcessArguments(false)
    .configureHelp({ helpWidth: HELP_WIDTH, sortSubcommands: false })
    .exitOverride();
  const { clock, streams } = around;
  const deps = { clock, operator: terminalOperator(streams) };
  const show = (checks: readonly Check[]) => showChecks(output, checks);

  command(program, 'create', 'make a root from a plan', [
    'gigvault rootca create --plan plan.yaml --out root/',
  ])
    .requiredOption('--plan <file>', 'the plan, YAML')
    .requiredOption('--out <directory>', 'where the root goes; must not hold one')
    .option('--hsm <uri>', `make and keep the key in this token,\n${URI}`)
    .action(async (options) => output.print(await create(options, clock)));

  addKeyOptions(
    command(program, 'sign', 'sign a CA below the root', [
      'gigvault rootca sign --root root/ --kind issuing --csr issuing.csr \\',
      '    --out root/issuing.crt --passphrase-file /dev/shm/p',
    ]),
  )
    .requiredOption('--csr <file>', 'PKCS #10 request, PEM')
    .requiredOption('--kind <kind>', 'issuing or services')
    .requiredOption('--out <file>', 'the certificate')
    .action(async (options) => output.print(await signCommand(options, deps)));

  addKeyOptions(
    command(program, 'crl', 'issue the next CRL of the root', [
      'gigvault rootca crl --root root/',
      'gigvault rootca crl --root root/ --share-file a --share-file b',
    ]),
  )
    .option(
      '--revoke <serial...>',
      'CA certificates to revoke, <serial number>[@<reason code>]',
      [],
    )
    .action(async (options) => output.print(await crl(options, deps)));

  command(program, 'verify', 'check plan, certificates, CRL and transcripts of a directory', [
    'gigvault rootca verify --dir root/',
  ])
    .requiredOption('--dir <directory>', 'with root.crt in it')
    .action((options: { readonly dir: string }) => show(verify(options.dir, clock)));

  addInit(program, output, around);
  addCeremony(program, output, clock);
  return program;
}

const URI = 'pkcs11:token=…?module-path=…&pin-source=…';

function command(
  parent: Command,
  name: string,
  description: string,
  examples: readonly string[],
): Command {
  const lines = examples.map((example) => `  ${example}\n`).join('');
  return parent.command(name).description(description).addHelpText('before', `Examples:\n${lines}`);
}

function addKeyOptions(to: Command): Command {
  return to
    .requiredOption('--root <directory>', 'made by create or by a ceremony')
    .option('--passphrase-file <file>', 'holds the passphrase of a key in a file; - is stdin')
    .option(
      '--share-file <file>',
      'a share of a ceremony’s key, once for each; without it\nholders are asked for theirs',
      (file: string, earlier: readonly string[] | undefined) => [...(earlier ?? []), file],
    )
    .option('--hsm <uri>', 'the token, when its URI is not that of create any more');
}

function addInit(program: Command, output: Output, around: Surroundings): void {
  const { clock, streams, program: file } = around;
  command(program, 'init', 'write the plan of a PKI, or hold its key ceremony', [
    'gigvault init --plan plan.yaml --organization Example \\',
    '    --trust-domain pki.example.com --status-url http://pki.example.com \\',
    '    --holder Ada --holder Grace --holder Edsger --threshold 2',
    'gigvault init --ceremony --rehearse --plan plan.yaml --out rehearsal/',
    'gigvault init --ceremony --plan plan.yaml --out root/',
  ])
    .requiredOption('--plan, --from <file>', 'the plan, YAML')
    .option('--ceremony', 'hold the key ceremony of the plan, on this offline machine')
    .option('--rehearse', 'all of it with throw-away keys')
    .option('--out <directory>', 'where the root stays; a ceremony that was begun\nthere goes on')
    .option('--bundle <directory>', 'what goes to the other machine (default: bundle\nin --out)')
    .option('--requests <directory>', 'with issuing.csr and services.csr (default: the\nplan’s)')
    .option('--shares <n>', 'how many, for a plan without holders')
    .option('--threshold <m>', 'how many of the holders are needed')
    .option('--hsm <uri>', `make and keep the key in this token,\n${URI}`)
    .option('--answers <file>', 'answers to the questions, YAML')
    .option('--organization <name>', 'for a new plan')
    .option('--trust-domain <domain>', 'for a new plan: of the services’ identities')
    .option('--status-url <url>', 'for a new plan: where CRL and certificates are found')
    .option(
      '--holder <name>',
      'for a new plan: who holds a share, once for each',
      (holder: string, earlier: readonly string[] | undefined) => [...(earlier ?? []), holder],
    )
    .action(async (typed) => {
      const { from: plan, ...options } = typed;
      if (options.ceremony !== true) return output.print(await initPlan({ plan, ...options }));
      if (options.out === undefined) {
        throw new GigvaultError('INVALID_ARGUMENT', '--ceremony needs --out <directory>.');
      }
      const deps = { clock, operator: terminalOperator(streams), room: machineRoom(file) };
      return showChecks(output, await initCeremony({ plan, ...options }, deps));
    });
}

function addCeremony(program: Command, output: Output, clock: Clock): void {
  const ceremony = program.command('ceremony').description('what a key ceremony has left');
  command(ceremony, 'verify <directory>', 'check it, on any machine and without a network', [
    'gigvault ceremony verify bundle/',
    'gigvault ceremony verify bundle/ --fingerprint "4F:2A:…"',
  ])
    .option('--fingerprint <text>', 'the root’s, hex or words, as it was written down')
    .option('--program-sha256 <hex>', 'the program’s, as it was written down')
    .option('--rehearsal', 'it is one; otherwise a rehearsal fails')
    .action((directory: string, { rehearsal, ...known }) =>
      showChecks(
        output,
        ceremonyVerify(directory, { ...known, isRehearsal: rehearsal === true }, clock),
      ),
    );
}

function showChecks(output: Output, checks: readonly Check[]): void {
  for (const { what, problem, note } of checks) {
    const word = problem !== undefined ? 'fail' : note === undefined ? ' ok ' : 'note';
    const text = `${what} ${problem ?? note ?? ''}`.trimEnd();
    output.print(wrapped(`[${word}] `, text).join('\n'));
  }
  if (checks.some(({ problem }) => problem !== undefined)) output.setExitCode(CHECK_FAILED);
}
