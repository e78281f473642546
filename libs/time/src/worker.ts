import { AWAKE, type Clock } from './clock.ts';

/** Something that runs beside the requests: a consumer, a schedule, a reconciler. */
export interface Worker {
  /** As `ca.reconciler`: in logs and health. */
  readonly name: string;
  /** Returns once it is running. */
  start(): Promise<void>;
  /** Returns when the round in flight is done. */
  stop(): Promise<void>;
}

/** What a periodic worker needs. */
export interface PeriodicOptions {
  readonly name: string;
  readonly clock: Clock;
  /** Milliseconds between the end of a round and the start of the next. */
  readonly interval: number;
  /** Milliseconds to wait after a round that failed; doubles up to `interval` or five seconds, whichever is more. Default 200. */
  readonly retryDelay?: number;
  /** One round. Resolving to a number overrides the wait before the next round, in milliseconds. */
  round(signal: AbortSignal): Promise<unknown>;
  onError(error: unknown): void;
}

/** Runs a round, waits, and runs it again until it is stopped. Rounds never overlap; a failed round is retried with back-off. */
export function periodic(options: PeriodicOptions): Worker & { wake(): void } {
  const stopping = new AbortController();
  let running: Promise<void> = Promise.resolve();
  let nap: AbortController | undefined;
  let woken = false;

  async function wait(ms: number): Promise<void> {
    if (woken || stopping.signal.aborted) return;
    nap = new AbortController();
    await options.clock.sleep(ms, nap.signal).catch(() => undefined);
    nap = undefined;
  }

  async function loop(): Promise<void> {
    // What was away for long is back within ten seconds.
    const longest = Math.max(options.interval, 5_000);
    let delay = options.retryDelay ?? 200;
    while (!stopping.signal.aborted) {
      woken = false;
      try {
        const next = await options.round(stopping.signal);
        delay = options.retryDelay ?? 200;
        await wait(typeof next === 'number' ? next : options.interval);
      } catch (error) {
        if (stopping.signal.aborted) return;
        options.onError(error);
        await wait(delay);
        delay = Math.min(delay * 2, longest);
      }
    }
  }

  return {
    name: options.name,
    async start() {
      running = loop();
    },
    async stop() {
      stopping.abort(new Error('stopping'));
      nap?.abort(AWAKE);
      await running;
    },
    /** Starts the next round at once. */
    wake() {
      woken = true;
      nap?.abort(AWAKE);
    },
  };
}
