import { AWAKE, type Clock } from '@gigvault/time/clock';
import { within } from '@gigvault/time/within';
import { CallQueue } from './call-queue.ts';
import {
  type DriverCall,
  type FromDriver,
  makesKey,
  type OpenedToken,
  type OpenToken,
} from './driver-messages.ts';
import { type DriverProcess, startDriver } from './driver-process.ts';
import { unavailable } from './return-value.ts';

/** Ticks in the time that a call may take. */
const TICKS = 20;
/** Making a key may take twelve times as long: RSA in a TPM takes half a minute. */
const GENERATE_TICKS = 12 * TICKS;
/** A token may take four times as long as a call to open: others wait for it meanwhile. */
const OPENING_DEADLINES = 4;
/** Milliseconds before another driver is started; doubles with every one that was of no use. */
const FIRST_PAUSE = 50;
const LONGEST_PAUSE = 1_000;
/** Drivers in a row that were of no use: from then on nobody waits for the next one. */
const GIVE_UP_AFTER = 6;
/** Milliseconds that a driver has to log out. */
const CLOSE_TIME = 2_000;
const CLOSED = 'The key store is closed.';

/** How long and how much. */
export interface SupervisedDriverOptions {
  /** What to open; asked for at every start. Errors: KEY_UNAVAILABLE, those of whoever keeps the PIN. */
  open(): Promise<OpenToken>;
  readonly environment: Readonly<Record<string, string>>;
  readonly clock: Clock;
  /** Milliseconds that a call may take. */
  readonly deadline: number;
  /** Calls that may wait. */
  readonly queue: number;
  /** Hears, in words for operators, when the token is lost and when it is back. */
  report(event: 'opened' | 'lost', message: string): void;
}

/**
 * A driver that is started when it is first needed, and is there again soon after it died. A PIN that was refused is not tried again: then every
 * call is refused until the store is opened anew.
 */
export class SupervisedDriver {
  readonly #options: SupervisedDriverOptions;
  readonly #queue: CallQueue;
  readonly #closing = new AbortController();
  #driver: DriverProcess | undefined;
  #ready = false;
  #pausing = false;
  #opening = false;
  #flushing = false;
  #ticking = false;
  /** Drivers in a row that answered nothing. */
  #useless = 0;
  #reason = '';
  #refused: string | undefined;
  #opened: OpenedToken | undefined;

  constructor(options: SupervisedDriverOptions) {
    this.#options = options;
    this.#queue = new CallQueue(options.queue);
  }

  /** The process that runs now. */
  get pid(): number | undefined {
    return this.#driver?.pid;
  }

  /** The token that answered last. */
  get opened(): OpenedToken | undefined {
    return this.#opened;
  }

  /** Errors: KEY_UNAVAILABLE with what the token said last, the driver's own. */
  async call(call: DriverCall): Promise<Uint8Array | undefined> {
    if (this.#closing.signal.aborted) throw unavailable(CLOSED);
    if (this.#refused !== undefined) throw unavailable(this.#refused);
    this.#start();
    if (!this.#ready && this.#useless >= GIVE_UP_AFTER) throw unavailable(this.#reason);
    const answer = this.#queue.add(call, makesKey(call) ? GENERATE_TICKS : TICKS);
    if (!this.#ticking) void this.#tick();
    // What is asked in one turn of the event loop goes in one message.
    if (!this.#flushing) setImmediate(() => this.#flush());
    this.#flushing = true;
    return answer;
  }

  /** Logs out and ends the driver; what waits is KEY_UNAVAILABLE. */
  async close(): Promise<void> {
    this.#closing.abort(AWAKE);
    const driver = this.#driver;
    this.#driver = undefined;
    const idle = this.#queue.size === 0 && this.#ready;
    this.#queue.rejectAll(CLOSED);
    if (driver === undefined) return;
    // A library must not be let go while a thread of it works.
    if (!idle) return driver.kill();
    const late = within(this.#options.clock, CLOSE_TIME, driver.close(), 'It does not end.');
    await late.catch(() => driver.kill());
  }

  #start(): void {
    const busy = this.#driver !== undefined || this.#pausing || this.#opening;
    if (busy || this.#refused !== undefined || this.#closing.signal.aborted) return;
    this.#opening = true;
    void this.#open().catch((error: unknown) => {
      this.#opening = false;
      this.#lose((error as Error).message);
    });
  }

  async #open(): Promise<void> {
    const open = await this.#options.open();
    this.#opening = false;
    if (this.#closing.signal.aborted) return;
    const driver: DriverProcess = startDriver({
      open,
      environment: this.#options.environment,
      onMessage: (message) => this.#driver === driver && this.#hear(message),
      onEnd: (why, said) => this.#driver === driver && this.#lose(why, said),
    });
    this.#driver = driver;
    void this.#watchOpening(driver);
  }

  /** No call is sent before the token is open, so none of them tells that the driver hangs on the way. */
  async #watchOpening(driver: DriverProcess): Promise<void> {
    const { clock, deadline } = this.#options;
    await clock.sleep(OPENING_DEADLINES * deadline, this.#closing.signal).catch(() => undefined);
    if (this.#driver === driver && !this.#ready)
      this.#lose('The PKCS #11 driver hangs while it opens the token.');
  }

  #hear(message: FromDriver): void {
    if ('answers' in message) {
      if (message.answers.some((answer) => 'value' in answer)) this.#useless = 0;
      this.#queue.settle(message.answers);
      this.#flush();
    } else if ('opened' in message) {
      this.#ready = true;
      this.#opened = message.opened;
      this.#options.report('opened', message.opened.description);
      this.#flush();
    } else {
      if (message.failed.pinRefused) this.#refused = message.failed.message;
      this.#lose(message.failed.message);
      if (message.failed.noLibrary) this.#queue.rejectAll(message.failed.message);
    }
  }

  /** The driver is of no use any more, or dead: another one after a pause, when somebody needs it. */
  #lose(why: string, said = ''): void {
    void this.#driver?.kill();
    this.#driver = undefined;
    this.#ready = false;
    this.#reason = why;
    this.#useless += 1;
    this.#options.report('lost', [why, said].filter(Boolean).join(': '));
    if (this.#refused !== undefined || this.#useless >= GIVE_UP_AFTER) this.#queue.rejectAll(why);
    else this.#queue.driverDied(why);
    void this.#pause();
  }

  async #pause(): Promise<void> {
    this.#pausing = true;
    const ms = Math.min(FIRST_PAUSE * 2 ** (this.#useless - 1), LONGEST_PAUSE);
    await this.#options.clock.sleep(ms, this.#closing.signal).catch(() => undefined);
    this.#pausing = false;
    if (this.#queue.size > 0) this.#start();
  }

  #flush(): void {
    this.#flushing = false;
    if (!this.#ready) return;
    const calls = this.#queue.take();
    if (calls.length > 0) this.#driver?.send(calls);
  }

  async #tick(): Promise<void> {
    const { clock, deadline } = this.#options;
    const { signal } = this.#closing;
    this.#ticking = true;
    while (this.#queue.size > 0 && !signal.aborted) {
      await clock.sleep(deadline / TICKS, signal).catch(() => undefined);
      const hanging = this.#queue.tick(this.#ready ? '' : this.#reason);
      if (hanging) this.#lose('The PKCS #11 driver hangs.');
    }
    this.#ticking = false;
  }
}
