import { type Clock, systemClock } from '@gigvault/time/clock';
import { Command } from 'commander';
import { create } from './commands/create.ts';
import { crl } from './commands/crl.ts';
import { signCommand } from './commands/sign.ts';
import { verify } from './commands/verify.ts';
import { VERSION } from './version.ts';

/** Exit code of a check that failed, as everywhere in GigVault. */
const CHECK_FAILED = 10;

/** Where output goes. */
export interface Output {
  print(text: string): void;
  setExitCode(code: number): void;
}

/** The `gigvault rootca` commands. Errors of commands are thrown; usage errors too, as CommanderError, once they are told on stderr. */
export function rootcaProgram(output: Output, clock: Clock = systemClock): Command {
  const program = new Command('gigvault rootca')
    .description('Offline root CA. Run it on a machine without a network.')
    .version(VERSION)
    .allowExcessArguments(false)
    .exitOverride();

  program
    .command('create')
    .description('make a root from a plan')
    .requiredOption('--plan <file>', 'the plan, YAML')
    .requiredOption('--out <directory>', 'where the root goes; must not hold one')
    .option(
      '--hsm <uri>',
      'make and keep the key in this token, pkcs11:token=…?module-path=…&pin-source=…',
    )
    .action(async (options) => output.print(await create(options, clock)));

  program
    .command('sign')
    .description('sign a CA below the root')
    .requiredOption('--root <directory>', 'made by create')
    .option('--passphrase-file <file>', 'holds the passphrase of a key in a file')
    .option('--hsm <uri>', 'the token, when its URI is not that of create any more')
    .requiredOption('--csr <file>', 'PKCS #10 request, PEM')
    .requiredOption('--kind <kind>', 'issuing or services')
    .requiredOption('--out <file>', 'the certificate')
    .action(async (options) => output.print(await signCommand(options, clock)));

  program
    .command('crl')
    .description('issue the next CRL of the root')
    .requiredOption('--root <directory>', 'made by create')
    .option('--passphrase-file <file>', 'holds the passphrase of a key in a file')
    .option('--hsm <uri>', 'the token, when its URI is not that of create any more')
    .option(
      '--revoke <serial...>',
      'CA certificates to revoke, <serial number>[@<reason code>]',
      [],
    )
    .action(async (options) => output.print(await crl(options, clock)));

  program
    .command('verify')
    .description('check plan, certificates, CRL and transcripts of a directory')
    .requiredOption('--dir <directory>', 'with root.crt in it')
    .action((options: { readonly dir: string }) => {
      const checks = verify(options.dir, clock);
      for (const { what, problem } of checks) {
        output.print(problem === undefined ? `[ ok ] ${what}` : `[fail] ${what} ${problem}`);
      }
      if (checks.some(({ problem }) => problem !== undefined)) output.setExitCode(CHECK_FAILED);
    });
  return program;
}
