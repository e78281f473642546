import { ERROR_TABLE } from '@gigvault/errors/error-table';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { CommanderError } from 'commander';
import { CliFailure, usage } from './failure.ts';
import { errorText } from './output/error-text.ts';
import { styleFor } from './output/style.ts';
import { buildProgram, COMMANDS, type Invocation } from './program/program.ts';
import { createSession } from './session.ts';
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
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.helpDisplayed' || error.code === 'commander.help') {
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
  const failure = asFailure(error);
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

/** commander says `error: unknown command 'certs'\n(Did you mean cert?)`. */
function usageFailure({ message }: CommanderError, argv: readonly string[]): CliFailure {
  const [first = '', hint = ''] = message.replace(/^error: /, '').split('\n');
  const suggestion = /^\(Did you mean (?:one of )?(.+)\?\)$/.exec(hint)?.[1];
  const meant = suggestion?.split(', ').map((name) => `'${name}'`);
  return usage(meant ? `${first}. Did you mean ${meant.join(' or ')}?` : first, {
    command: first.startsWith('unknown command') ? 'gigvault --help' : `${nameOf(argv)} --help`,
  });
}

/** `gigvault cert create`, of everything that was typed. */
function nameOf(argv: readonly string[]): string {
  const typed = argv.filter((word) => !word.startsWith('-')).join(' ');
  const names = COMMANDS.map(({ usage: text }) => text.replace(/ [<[].*$/, ''));
  const name = names.find((candidate) => `${typed} `.startsWith(`${candidate} `));
  return name ? `gigvault ${name}` : 'gigvault';
}
