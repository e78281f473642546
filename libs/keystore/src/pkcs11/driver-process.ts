import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { FromDriver, NumberedCall, OpenToken } from './driver-messages.ts';

/** Of what a driver wrote to stderr, for operators who ask why it ended. */
const LAST_WORDS = 1_000;

/** One life of a driver. */
export interface DriverProcess {
  readonly pid: number | undefined;
  send(calls: readonly NumberedCall[]): void;
  /** At once, whatever it does. Resolves when it is dead. */
  kill(): Promise<void>;
  /** Lets it log out first, when it does nothing else. Resolves when it is dead. */
  close(): Promise<void>;
}

/** How a driver is started, and who hears of it. */
export interface DriverProcessOptions {
  readonly open: OpenToken;
  /** All that it sees of an environment. */
  readonly environment: Readonly<Record<string, string>>;
  onMessage(message: FromDriver): void;
  /** Once, also for a process that could not be started. @param said what the library printed: for the log alone, since nobody knows what that is */
  onEnd(why: string, said: string): void;
}

/** Starts a driver and tells it what to open. */
export function startDriver(options: DriverProcessOptions): DriverProcess {
  const { open, environment, onMessage, onEnd } = options;
  const child = fork(driverProgram(), [], {
    env: { ...environment },
    // Node's flags for this process mean this one: a debugger's port, above all.
    execArgv: ['--disable-warning=ExperimentalWarning'],
    serialization: 'advanced',
    // Its own process group: Ctrl-C on the terminal reaches the parent alone, which drains first.
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let said = '';
  child.stderr?.on('data', (text: Buffer) => {
    said = (said + text.toString()).slice(-LAST_WORDS);
  });
  const ended = endOf(child).then((how) => onEnd(how, said.trim()));
  child.on('message', onMessage);
  tell(child, { open });
  return {
    pid: child.pid,
    send: (calls) => tell(child, { calls }),
    kill() {
      child.kill('SIGKILL');
      return ended;
    },
    close() {
      tell(child, { close: true });
      return ended;
    },
  };
}

async function endOf(child: ChildProcess): Promise<string> {
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    return `The PKCS #11 driver ended (${signal ?? code})`;
  } catch (error) {
    return `The PKCS #11 driver did not start (${(error as Error).message})`;
  }
}

/** A channel that is closed belongs to a process that ended, which is told of by itself. */
function tell(child: ChildProcess, message: object): void {
  child.send(message, () => undefined);
}

/** From source it lies beside this file; in a bundle it is an entry point, and this file a part of another one or of a chunk. */
function driverProgram(): string {
  const places = ['./driver.ts', './pkcs11-driver.js', '../pkcs11-driver.js'];
  const found = places
    .map((place) => fileURLToPath(new URL(place, import.meta.url)))
    .find((path) => existsSync(path));
  if (found === undefined) throw new Error('The PKCS #11 driver is not part of this installation.');
  return found;
}
