import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Reloadable } from '@gigvault/host/reload';
import type { Log } from '@gigvault/telemetry/log';
import { checkPorts, withPortAdvice } from './bootstrap/check-ports.ts';
import { checkPublicCertificateAtStart } from './bootstrap/check-public-certificate.ts';
import {
  claimDataDirectory,
  type DataDirectory,
  openDataDirectory,
  type RunningInstance,
  releaseDataDirectory,
} from './bootstrap/data-directory.ts';
import {
  checkDatabase,
  type DatabaseServer,
  startDatabaseServer,
} from './bootstrap/database-server.ts';
import { checkRootDirectory } from './bootstrap/root-directory.ts';
import { requireFirstStart, requireSafeProfile } from './bootstrap/safe-profile.ts';
import { openLogs } from './composition/logs.ts';
import { dataDirOf, type GigvaultConfig } from './gigvault.config.ts';
import { withHsm } from './hsm-flag.ts';
import type { Progress } from './report/progress.ts';
import { runAll, type Undo } from './undo.ts';

/** A running PKI. */
export interface RunningSuite {
  readonly publicUrl: string;
  readonly statusUrl: string;
  /** What SIGHUP reloads. */
  readonly reloadable: Reloadable<GigvaultConfig> & { readonly log: Log };
  /** Resolves when it has stopped, whoever asked for it. */
  readonly stopped: Promise<void>;
  /** Drains, stops everything, and gives the data directory back. */
  stop(): Promise<void>;
}

/** Raised when the data directory is already served; not a failure. */
export class AlreadyRunning extends Error {
  readonly instance: RunningInstance;

  constructor(instance: RunningInstance) {
    super('already running');
    this.instance = instance;
  }
}

/** What to start. */
export interface UpOptions {
  readonly config: GigvaultConfig;
  /** The same as it was written, for the processes of split mode. */
  readonly written: Readonly<Record<string, unknown>>;
}

/**
 * Starts everything: database, PKI, services, listeners; proves that it works; prints where things are.
 * Errors: AlreadyRunning; CONFLICT naming a port in use; INVALID_ARGUMENT for a configuration or directory that cannot be.
 */
export async function up(
  asked: UpOptions,
  progress: Progress,
  print: (text: string) => void,
): Promise<RunningSuite> {
  const options = withHsm(asked);
  const { config } = options;
  requireSafeProfile(config);
  requireFirstStart(config, options.written);
  const expired = await checkPublicCertificateAtStart(config);
  if (expired !== undefined)
    progress.note(
      `  ! ${expired}.\n    Clients refuse the public listener until it is replaced and SIGHUP sent; OCSP and CRLs are served all the same.`,
    );
  // 1. The data directory, for this process alone; then the ports, before anything is made.
  const path = dataDirOf(config) ?? mkdtempSync(join(tmpdir(), 'gigvault-'));
  const directory = openDataDirectory(path);
  const holder = claimDataDirectory(directory);
  if (holder) throw new AlreadyRunning(holder);
  const undo: Undo = [];
  let database: DatabaseServer | undefined;
  let failed = false;
  const giveBack = () => {
    // Its folders while nobody else can take it, then itself, which held the run file.
    if (failed) directory.removeEmpty();
    releaseDataDirectory(directory);
    if (failed) directory.removeEmpty();
    if (config.ephemeral) rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  };
  // A process that exits without waiting, as at the second Ctrl-C or after an uncaught error, leaves no database behind.
  const atExit = () => {
    database?.abandon();
    giveBack();
  };
  process.once('exit', atExit);
  undo.push(async () => {
    process.off('exit', atExit);
    giveBack();
  });
  try {
    checkRootDirectory(directory, config);
    await checkDatabase(directory, config);
    await checkPorts(config);
    const logOf = openLogs(config, directory);
    const server = startDatabaseServer(directory, config, logOf('gigvault'));
    // Whoever waits for it hears of its failure; until then nobody does.
    server.then(
      (running) => {
        database = running;
      },
      () => undefined,
    );
    undo.push(() =>
      server.then(
        (running) => running.stop(),
        () => undefined,
      ),
    );
    // Half of the start's modules and the whole of initdb take about as long.
    const { start } = await import('./start.ts');
    const configured = withRootCrl(options, directory);
    return await start({ ...configured, directory, server, progress, print, logOf, undo });
  } catch (error) {
    failed = true;
    await runAll(undo);
    throw withPortAdvice(error, config);
  }
}

/** The CRL service publishes the root's CRL, which lies beside the root, unless it is told of another file. */
function withRootCrl(options: UpOptions, directory: DataDirectory): UpOptions {
  const { config } = options;
  return {
    ...options,
    config: {
      ...config,
      crl: { ...config.crl, rootCrlFile: config.crl.rootCrlFile ?? directory.rootCrl },
    },
  };
}
