import { publicErrorCode } from '@gigvault/errors/error-table';
import { asGigvaultError } from '@gigvault/errors/gigvault-error';
import { keepMemoryPrivate } from '@gigvault/files/private-memory';
import { CommanderError } from 'commander';
import { InterruptedError } from './adapters/terminal-operator.ts';
import { programName, rootcaProgram } from './program.ts';

/** Exit code of a command line that cannot be, as everywhere in GigVault. */
const USAGE = 2;
/** Exit code of what people have stopped. */
const INTERRUPTED = 130;

keepMemoryPrivate();
const output = {
  print: (text: string) => void process.stdout.write(`${text}\n`),
  setExitCode(code: number) {
    process.exitCode = code;
  },
};
const program = rootcaProgram(output, undefined, programName(process.argv[2]));

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = error instanceof CommanderError ? exitOf(error) : explain(error);
}

/** Help and version that were asked for are no errors. */
function exitOf({ exitCode }: CommanderError): number {
  return exitCode === 0 ? 0 : USAGE;
}

function explain(error: unknown): number {
  if (error instanceof InterruptedError) {
    process.stderr.write(
      '\ninterrupted. What a ceremony has done is kept: the same command goes on.\n',
    );
    return INTERRUPTED;
  }
  const known = asGigvaultError(error);
  const text = known.code === 'INTERNAL' ? String(error) : known.message;
  process.stderr.write(`error: ${text}  ${publicErrorCode(known.code)}\n`);
  return known.row.exit;
}
