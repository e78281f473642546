import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readConfig } from '@gigvault/config/load-config';
import { nearest } from '@gigvault/config/nearest';
import { processEnvironment } from '@gigvault/config/process-environment';
import { publicErrorCode } from '@gigvault/errors/error-table';
import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import { systemClock } from '@gigvault/time/clock';
import { requireSafeProfile } from './bootstrap/safe-profile.ts';
import { flagKeys, gigvaultConfig } from './gigvault.config.ts';
import { createProgress } from './report/progress.ts';
import { AlreadyRunning, type UpOptions, up } from './up.ts';

const USAGE = `Usage: npm run up -- [flags]

  --data-dir <path>       where everything is kept
  --https-port <port>     ACME and API (8443)
  --grpc-port <port>      mTLS gRPC (9443)
  --http-port <port>      OCSP, CRLs, CA certificates (8080)
  --database-url <url>    an external PostgreSQL instead of the embedded one
  --ephemeral             a new PKI that is gone at the end
  --environment <name>    development (default) or production, the strict profile
  --single-node           production in one process: keys beside what faces networks
  --ra-http01-port <port> where http-01 is asked (80); development only
  --split                 one process per service
  --config <file>         YAML; flags and GIGVAULT_* variables win
  --check-config          read the configuration, then stop
  --<section>-<key>       any other key of the configuration
`;

const [command, ...args] = process.argv.slice(2);
process.exitCode = await main(command, args);
if (process.exitCode !== 0) process.exit();

async function main(verb: string | undefined, rest: readonly string[]): Promise<number> {
  if (verb !== 'up' || rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(USAGE);
    return verb === 'up' ? 0 : 2;
  }
  try {
    const { checkOnly, ...options } = readArguments(rest);
    if (checkOnly) {
      requireSafeProfile(options.config);
      process.stdout.write('The configuration is fine.\n');
      return 0;
    }
    return await run(options);
  } catch (error) {
    return explain(error);
  }
}

async function run(options: UpOptions): Promise<number> {
  const progress = createProgress(process.stderr, () => systemClock.now());
  const asked = stopSignal();
  const running = await up(options, progress, (text) => void process.stdout.write(text));
  // Also what was asked while it started: a start that is cut off would leave its database behind.
  asked.then(() => running.stop()).catch((error: unknown) => process.exit(explain(error)));
  await running.stopped;
  process.stderr.write(`  ✔ stopped; the data ${options.config.ephemeral ? 'is gone' : 'stays'}\n`);
  return 0;
}

/** Resolves at the first SIGINT or SIGTERM; further ones change nothing. */
function stopSignal(): Promise<void> {
  let asked = false;
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (!asked) process.stderr.write('\n  … draining\n');
        asked = true;
        resolve();
      });
    }
  });
}

/** Flags by the configuration's keys: `--https-port 9000`, `--ephemeral`, `--ra-http01-port=5002`. */
function readArguments(args: readonly string[]): UpOptions & { checkOnly: boolean } {
  const keys = flagKeys();
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    tokens: true,
    allowPositionals: true,
  });
  const flags: Record<string, string | boolean> = {};
  let file: string | undefined = processEnvironment['GIGVAULT_CONFIG'];
  let checkOnly = false;
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i];
    if (token === undefined || token.kind === 'option-terminator') continue;
    if (token.kind === 'positional')
      throw new GigvaultError('INVALID_ARGUMENT', `"${token.value}" is no flag. See --help.`);
    const next = tokens[i + 1];
    const follows = token.value === undefined && next?.kind === 'positional';
    if (follows) i++;
    const value = token.value ?? (follows ? next.value : true);
    const key = keys.get(token.name);
    if (token.name === 'config') file = String(value);
    else if (token.name === 'check-config') checkOnly = true;
    else if (key !== undefined) flags[key] = value;
    else {
      const suggestion = nearest(token.name, [...keys.keys(), 'config', 'check-config']);
      throw new GigvaultError(
        'INVALID_ARGUMENT',
        `There is no flag --${token.name}.${suggestion === undefined ? '' : ` Did you mean --${suggestion}?`}`,
      );
    }
  }
  const found =
    file ??
    [
      './gigvault.yaml',
      join(
        processEnvironment['XDG_CONFIG_HOME'] ?? `${processEnvironment['HOME']}/.config`,
        'gigvault',
        'config.yaml',
      ),
      '/etc/gigvault/config.yaml',
    ].find(existsSync);
  return {
    ...readConfig(gigvaultConfig, {
      flags,
      environment: processEnvironment,
      ...(found === undefined ? {} : { file: found }),
    }),
    checkOnly,
  };
}

function explain(error: unknown): number {
  if (error instanceof AlreadyRunning) {
    const { instance } = error;
    process.stdout.write(
      `GigVault runs already (pid ${instance.pid})${instance.publicUrl ? `: ${instance.publicUrl}` : ', still starting'}\n`,
    );
    return 0;
  }
  const ours = asGigvaultError(error);
  const cause =
    ours.code === 'INTERNAL' && ours.cause instanceof Error
      ? `\n  ✖ ${ours.cause.stack ?? ours.cause.message}`
      : '';
  process.stderr.write(`error: ${ours.message}   ${publicErrorCode(ours.code)}${cause}\n`);
  for (const problem of ours.problems)
    process.stderr.write(`  ✖ ${problem.pointer}   ${problem.message}\n`);
  return ours.row.exit;
}
