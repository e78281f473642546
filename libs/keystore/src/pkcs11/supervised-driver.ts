import type { Clock } from '@gigvault/time/clock';
import { AWAKE } from '@gigvault/time/clock';
import { callQueue } from './call-queue.ts';
import type { DriverCall, FromDriver, OpenToken } from './driver-messages.ts';
import { type DriverProcess, startDriver } from './driver-process.ts';
import { unavailable } from './return-value.ts';

/** Ticks in the time that a call may take. */
const TICKS = 20;
/** Making a key takes so many times as long as signing: RSA in a TPM takes half a minute. */
const GENERATE_PATIENCE = 12;
/** Milliseconds before another driver is started; doubles with every one that was of no use. */
const FIRST_PAUSE = 50;
const LONGEST_PAUSE = 1_000;
/** Drivers in a row that were of no use: from then on nobody waits for the next one. */
const GIVE_UP_AFTER = 6;
/** Milliseconds that a driver has to log out. */
const CLOSE_TIME = 2_000;

/** A driver that is there again soon after it died. */
export interface SupervisedDriver {
  /** Errors: KEY_UNAVAILABLE with what the token said last, the driver's own. */
  call(call: DriverCall): Promise<Uint8Array | undefined>;
  /** The process that runs now. */
  pid(): number | undefined;
  close(): Promise<void>;
}

/** How long and how much. */
export interface SupervisedDriverOptions {
  /** What to open; asked for at every start. Errors: KEY_UNAVAILABLE. */
  open(): OpenToken;
  readonly environment: Readonly<Record<string, string>>;
  readonly clock: Clock;
  /** Milliseconds that a call may take. */
  readonly deadline: number;
  /** Calls that may wait. */
  readonly queue: number;
  /** Hears, in words for operators, when the token is lost and when it is back. */
  report(event: 'opened' | 'lost', message: string): void;
}

/** Starts a driver when it is first needed. A PIN that was refused is not tried again: then every call is refused until the store is reopened. */
export function supervisedDriver(options: SupervisedDriverOptions): SupervisedDriver {
  const { clock, deadline, environment, report } = options;
  const queue = callQueue(options.queue);
  const closing = new AbortController();
  let driver: DriverProcess | undefined;
  let ready = false;
  let pausing = false;
  let flushing = false;
  let ticking = false;
  let useless = 0;
  let reason = '';
  let refused: string | undefined;

  function start(): void {
    if (driver !== undefined || pausing || refused !== undefined || closing.signal.aborted) return;
    try {
      const open = options.open();
      const started: DriverProcess = startDriver({
        open,
        environment,
        onMessage: (message) => driver === started && hear(message),
        onEnd: (why) => driver === started && lose(why),
      });
      driver = started;
    } catch (error) {
      lose((error as Error).message);
    }
  }

  function hear(message: FromDriver): void {
    if ('answers' in message) {
      if (message.answers.some((answer) => 'value' in answer)) useless = 0;
      queue.settle(message.answers);
      flush();
    } else if ('opened' in message) {
      ready = true;
      report('opened', message.opened.description);
      flush();
    } else {
      if (message.failed.pinRefused) refused = message.failed.message;
      lose(message.failed.message);
    }
  }

  /** The driver is of no use any more, or dead: another one after a pause, when somebody needs it. */
  function lose(why: string): void {
    void driver?.kill();
    driver = undefined;
    ready = false;
    reason = why;
    useless += 1;
    report('lost', why);
    if (refused !== undefined) queue.rejectAll(refused);
    else queue.driverDied(why);
    if (useless >= GIVE_UP_AFTER) queue.rejectAll(why);
    void pause();
  }

  async function pause(): Promise<void> {
    pausing = true;
    const ms = Math.min(FIRST_PAUSE * 2 ** (useless - 1), LONGEST_PAUSE);
    await clock.sleep(ms, closing.signal).catch(() => undefined);
    pausing = false;
    if (queue.size > 0) start();
  }

  function flush(): void {
    flushing = false;
    if (!ready) return;
    const calls = queue.take();
    if (calls.length > 0) driver?.send(calls);
  }

  async function tick(): Promise<void> {
    ticking = true;
    while (queue.size > 0 && !closing.signal.aborted) {
      await clock.sleep(deadline / TICKS, closing.signal).catch(() => undefined);
      if (queue.tick(ready ? '' : reason)) lose('The PKCS #11 driver hangs.');
    }
    ticking = false;
  }

  return {
    call(call) {
      if (closing.signal.aborted) return Promise.reject(unavailable('The key store is closed.'));
      if (refused !== undefined) return Promise.reject(unavailable(refused));
      start();
      if (!ready && useless >= GIVE_UP_AFTER) return Promise.reject(unavailable(reason));
      const ticks = call.method === 'generate' ? TICKS * GENERATE_PATIENCE : TICKS;
      const answer = queue.add(call, ticks);
      if (!ticking) void tick();
      // What is asked in one turn of the event loop goes in one message.
      if (!flushing) setImmediate(flush);
      flushing = true;
      return answer;
    },
    pid: () => driver?.pid,
    async close() {
      closing.abort(AWAKE);
      const last = driver;
      driver = undefined;
      const idle = queue.size === 0 && ready;
      queue.rejectAll('The key store is closed.');
      if (last === undefined) return;
      if (!idle) return last.kill();
      const over = new AbortController();
      const late = clock.sleep(CLOSE_TIME, over.signal).then(
        () => last.kill(),
        () => undefined,
      );
      await last.close();
      over.abort(AWAKE);
      await late;
    },
  };
}
