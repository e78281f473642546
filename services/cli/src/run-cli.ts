import { ERROR_TABLE } from '@gigvault/errors/error-table';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { CommanderError } from 'commander';
import { version } from './commands/version.ts';
import { CliFailure, usage } from './failure.ts';
import { errorText } from './output/error-text.ts';
import { styleFor } from './output/style.ts';
import { buildProgram, COMMANDS, type Invocation, NOUNS } from './program/program.ts';
import { createSession, type GlobalOptions } from './session.ts';
import type { Terminal } from './terminal.ts';

const INTERRUPTED = 130;

/** Runs one command line (without the program's name) and returns the exit code. Writes to the terminal only; never throws. */
export async function runCli(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const invocation = await parse(argv, terminal);
    return invocation ? await run(invocation, terminal) : 0;
  } catch (error) {
    return report(error, argv, terminal);
  }
}

/** Undefined when the help was asked for and shown. */
async function parse(argv: readonly string[], terminal: Terminal): Promise<Invocation | undefined> {
  let invocation: Invocation | undefined;
  const program = buildProgram(terminal, (found) => {
    invocation = found;
  });
  try {
    program.parseOptions([...argv]);
    const globals = program.opts<GlobalOptions>();
    // Whatever else was typed, as other programs do.
    if (globals.version) return { action: version, args: [], options: {}, globals, pem: false };
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (['commander.helpDisplayed', 'commander.help'].includes(error.code)) {
      if (error.exitCode === 0) return undefined;
      throw usage('which command? The help above lists them.');
    }
    throw usageFailure(error, argv);
  }
  return invocation;
}

async function run(
  { action, args, options, globals, pem }: Invocation,
  terminal: Terminal,
): Promise<number> {
  const session = createSession(terminal, globals);
  // Before it does anything: what was done could not be shown.
  if (session.output.format === 'pem' && !pem)
    throw usage('this has no PEM form: use -o table, json, yaml or name.');
  try {
    return (await action(session, args, options)) ?? 0;
  } finally {
    session.close();
  }
}

function report(error: unknown, argv: readonly string[], terminal: Terminal): number {
  if (terminal.signal.aborted) return INTERRUPTED;
  const failure = pasteable(asFailure(error), argv);
  const style = styleFor(terminal, terminal.stderrIsTty, argv.includes('--no-color'));
  terminal.writeErr(errorText(failure, style));
  return failure.exitCode;
}

function asFailure(error: unknown): CliFailure {
  if (error instanceof CliFailure) return error;
  if (error instanceof GigvaultError) {
    const facts = error.problems.map(({ pointer, message }) => ({
      subject: pointer,
      text: message,
    }));
    return new CliFailure(error.message, { code: error.code, facts, cause: error });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new CliFailure(`something went wrong in this command: ${message}`, {
    exitCode: ERROR_TABLE.INTERNAL.exit,
    cause: error,
  });
}

const ERROR_OF_USAGE = ERROR_TABLE.INVALID_ARGUMENT.exit;

/** Every command to try as it can be typed; the help, where a command line is wrong and nothing better is known. */
function pasteable(failure: CliFailure, argv: readonly string[]): CliFailure {
  const tries = failure.tries.map(({ command, ...rest }) => ({
    ...rest,
    command: command.startsWith('--') ? added(argv, command) : command,
  }));
  if (tries.length === 0 && failure.exitCode === ERROR_OF_USAGE)
    tries.push({ command: `${nameOf(argv)} --help` });
  return failure.withTries(tries);
}

/** What was typed, with a flag and its value in place of the same flag. */
function added(argv: readonly string[], flag: string): string {
  const [name = '', value] = flag.split(' ');
  const at = argv.indexOf(name);
  const typed = at === -1 ? argv : argv.toSpliced(at, value === undefined ? 1 : 2);
  return ['gigvault', ...typed.map(quoted), flag].join(' ');
}

/** As a shell takes it; a secret that was typed is not shown again. */
function quoted(word: string): string {
  const shown = word.replaceAll(/gv_(setup|key)_[\w-]+/g, 'gv_$1_…');
  return /^[\w@%+=:,./…-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", "'\\''")}'`;
}

/** commander says `error: unknown command 'certs'\n(Did you mean cert?)`. */
function usageFailure({ message }: CommanderError, argv: readonly string[]): CliFailure {
  const [first = '', hint = ''] = message.replace(/^error: /, '').split('\n');
  const suggestion = /^\(Did you mean (?:one of )?(.+)\?\)$/.exec(hint)?.[1];
  const meant = suggestion?.split(', ').map((name) => `'${name}'`);
  return usage(meant ? `${first}. Did you mean ${meant.join(' or ')}?` : first, {
    command: `${nameOf(argv)} --help`,
  });
}

/** `gigvault cert create`, or as far as it is one, of everything that was typed. */
function nameOf(argv: readonly string[]): string {
  const typed = ` ${argv.filter((word) => !word.startsWith('-')).join(' ')} `;
  const names = COMMANDS.map(({ usage: text }) => text.replace(/ [<[].*$/, ''));
  const [name] = [...names, ...Object.keys(NOUNS)]
    .filter((each) => typed.includes(` ${each} `))
    .sort((a, b) => typed.indexOf(` ${a} `) - typed.indexOf(` ${b} `) || b.length - a.length);
  return name ? `gigvault ${name}` : 'gigvault';
}
