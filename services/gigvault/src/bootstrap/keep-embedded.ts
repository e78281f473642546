import {
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  startEmbeddedPostgres,
} from '@gigvault/database/embedded-postgres';
import { failureLog } from '@gigvault/telemetry/log';
import { systemClock } from '@gigvault/time/clock';

/** Milliseconds between the end of a server that nobody stopped and its next start; doubled after each that failed. */
const RESTART_DELAY = 200;
const LONGEST_RESTART_DELAY = 10_000;

/** An embedded server that is started again when it ends by itself: on the same socket, so that pools find it. */
export interface KeptPostgres {
  /** The first one; its address is that of all. */
  readonly server: EmbeddedPostgres;
  /** Resolves when none runs, also when one was just being started. */
  stop(): Promise<void>;
  /** Tells it to go and waits for nothing: for a process that exits. */
  abandon(): void;
}

/** Starts it. Errors: as startEmbeddedPostgres; later failures are logged and tried again for ever. */
export async function keepEmbedded(options: EmbeddedPostgresOptions): Promise<KeptPostgres> {
  const first = await startEmbeddedPostgres(options);
  const stopping = new AbortController();
  let current = first;

  async function supervise(): Promise<void> {
    for (;;) {
      await current.gone;
      if (stopping.signal.aborted) return;
      options.log.error(
        { operation: 'database' },
        'the embedded database ended by itself; starting it again',
      );
      if (!(await startAgain()) || stopping.signal.aborted) return;
    }
  }

  /** False when everything stops. */
  async function startAgain(): Promise<boolean> {
    const failures = failureLog(
      options.log,
      'the embedded database cannot be started again; it is tried on',
      'the embedded database runs again',
    );
    for (let delay = RESTART_DELAY; ; delay = Math.min(2 * delay, LONGEST_RESTART_DELAY)) {
      await systemClock.sleep(delay, stopping.signal).catch(() => undefined);
      if (stopping.signal.aborted) return false;
      try {
        current = await startEmbeddedPostgres(options);
        failures.worked({ operation: 'database' });
        return true;
      } catch (error) {
        failures.failed('error', error, { operation: 'database' });
      }
    }
  }

  const supervised = supervise();
  return {
    server: first,
    async stop() {
      stopping.abort(new Error('stopping'));
      await current.stop();
      await supervised;
      // One that was being started when the stop began.
      await current.stop();
    },
    abandon() {
      stopping.abort(new Error('stopping'));
      current.abandon();
    },
  };
}
