import { publicErrorCode } from '@gigvault/errors/error-table';
import { asGigvaultError } from '@gigvault/errors/gigvault-error';
import { rootcaProgram } from './program.ts';

const program = rootcaProgram({
  print: (text) => process.stdout.write(`${text}\n`),
  setExitCode(code) {
    process.exitCode = code;
  },
});

try {
  await program.parseAsync();
} catch (error) {
  const known = asGigvaultError(error);
  const text = known.code === 'INTERNAL' ? String(error) : known.message;
  process.stderr.write(`error: ${text}  ${publicErrorCode(known.code)}\n`);
  process.exitCode = known.row.exit;
}
