import { publicErrorCode } from '@gigvault/errors/error-table';
import { asGigvaultError } from '@gigvault/errors/gigvault-error';
import { keepMemoryPrivate } from '@gigvault/files/private-memory';
import { createReload, reloadOnHangup } from '@gigvault/host/reload';
import { processSecrets } from '@gigvault/secrets/process-secrets';
import { systemClock } from '@gigvault/time/clock';
import { readArguments, warningOf } from './arguments.ts';
import { checkPublicCertificate } from './bootstrap/check-public-certificate.ts';
import { readDatabaseUrl } from './bootstrap/database-url.ts';
import { RootAwaited } from './bootstrap/root-awaited.ts';
import { requireFirstStart, requireSafeProfile } from './bootstrap/safe-profile.ts';
import type { GigvaultConfig } from './gigvault.config.ts';
import { createProgress } from './report/progress.ts';
import { StopAsked, stopRequest } from './stop-request.ts';
import { AlreadyRunning, type UpOptions, up } from './up.ts';

const USAGE = `Usage: npm run up -- [flags]

  --data-dir <path>        where everything is kept
  --https-port <port>      ACME and API (8443)
  --http-port <port>       OCSP, CRLs, CA certificates (8080)
  --grpc-address <address> keys over gRPC, host:port or :port (:9443, unless --grpc-port is given)
  --grpc-port <port>       mTLS gRPC between services (9543)
  --metrics-port <port>    Prometheus (9464); 0 takes a free one
  --admin-port <port>      health and shutdown, 127.0.0.1 only (0)
  --host <address>         where to listen (localhost: both loopback addresses)
  --public-url <url>       what clients use (https://localhost:<https-port>)
  --database-url <url>     an external PostgreSQL instead of the embedded one, or file:///path
                           of its URL: docs/operations/database.md
  --hsm <uri>              keys are made in this token, pkcs11:token=…?module-path=…&pin-source=…:
                           docs/operations/hsm.md
  --ephemeral              a new PKI that is gone at the end
  --offline-root <folder>  the root is made on another machine: docs/operations/offline-root.md
  --online-root            production with the root's key on this machine, encrypted
  --environment <name>     development (default) or production, the strict profile; its first
                           start is told --ra-approvals and --keymgr-destruction-approvals
  --single-node            production in one process: keys beside what faces networks
  --ra-http01-port <port>  where http-01 is asked (80); development only
  --split                  one process per service; each takes ports of its own,
                           counted from --grpc-port, --metrics-port and --admin-port
  --config <file>          YAML; flags and GIGVAULT_* variables win
  --check-config           read the configuration, then stop
  --<section>-<key>        any other key: docs/operations/configuration.md
`;

/** Exit code for what waits for somebody, as of the `gigvault` command. */
const PENDING = 8;

keepMemoryPrivate();

// Whoever reads may go away, as `head` does: nobody is left to be told, and that is no reason to stop serving.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

const [command, ...args] = process.argv.slice(2);
process.exitCode = await main(command, args);
if (process.exitCode !== 0) process.exit();

async function main(verb: string | undefined, rest: readonly string[]): Promise<number> {
  if (verb !== 'up' || rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(USAGE);
    return verb === 'up' ? 0 : 2;
  }
  try {
    const { checkOnly, unknownVariables, ...options } = readArguments(rest);
    for (const variable of unknownVariables) process.stderr.write(warningOf(variable));
    if (checkOnly) {
      const { url } = options.config.database;
      requireSafeProfile(options.config);
      requireFirstStart(options.config, options.written);
      await checkPublicCertificate(options.config);
      if (url !== undefined) await readDatabaseUrl(url, processSecrets(options.config));
      process.stdout.write('The configuration is fine.\n');
      return 0;
    }
    return await run(options, () => readArguments(rest).config);
  } catch (error) {
    return explain(error);
  }
}

async function run(options: UpOptions, read: () => GigvaultConfig): Promise<number> {
  const { config } = options;
  const { asked, between } = stopRequest(process.stderr);
  const onHangup = reloadOnHangup();
  const progress = between(createProgress(process.stderr, () => systemClock.now()));
  const stopped = () => {
    const data = config.ephemeral ? 'is gone' : 'stays';
    process.stderr.write(`  ✔ stopped; the data ${data}\n`);
  };
  try {
    const running = await up(options, progress, (text) => void process.stdout.write(text));
    onHangup(createReload({ config, read, ...running.reloadable }));
    // Also what was asked in the last step of the start.
    asked.then(() => running.stop()).catch((error: unknown) => process.exit(explain(error)));
    await running.stopped;
  } catch (error) {
    if (!(error instanceof StopAsked)) throw error;
    stopped();
    return error.exitCode;
  }
  stopped();
  return 0;
}

function explain(error: unknown): number {
  if (error instanceof AlreadyRunning) {
    const { instance } = error;
    process.stdout.write(
      `GigVault runs already (pid ${instance.pid})${instance.publicUrl ? `: ${instance.publicUrl}` : ', still starting'}\n`,
    );
    return 0;
  }
  if (error instanceof RootAwaited) {
    process.stdout.write(error.instructions);
    return PENDING;
  }
  const ours = asGigvaultError(error);
  const cause =
    ours.code === 'INTERNAL' && ours.cause instanceof Error
      ? `\n  ✖ ${ours.cause.stack ?? ours.cause.message}`
      : '';
  process.stderr.write(`error: ${ours.message}   ${publicErrorCode(ours.code)}${cause}\n`);
  for (const { pointer, message } of ours.furtherProblems)
    process.stderr.write(`  ✖ ${pointer}   ${message}\n`);
  return ours.row.exit;
}
