import { publicErrorCode } from '@gigvault/errors/error-table';
import { asGigvaultError } from '@gigvault/errors/gigvault-error';
import { keepMemoryPrivate } from '@gigvault/files/private-memory';
import { CommanderError } from 'commander';
import { rootcaProgram } from './program.ts';

/** Exit code of a command line that cannot be, as everywhere in GigVault. */
const USAGE = 2;

keepMemoryPrivate();
const program = rootcaProgram({
  print: (text) => process.stdout.write(`${text}\n`),
  setExitCode(code) {
    process.exitCode = code;
  },
});

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
  const known = asGigvaultError(error);
  const text = known.code === 'INTERNAL' ? String(error) : known.message;
  process.stderr.write(`error: ${text}  ${publicErrorCode(known.code)}\n`);
  return known.row.exit;
}
