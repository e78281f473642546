import { fromErrorRecord, type GigvaultError } from '@gigvault/errors/gigvault-error';
import {
  type DriverAnswer,
  type DriverCall,
  makesKey,
  type NumberedCall,
} from './driver-messages.ts';
import { unavailable } from './return-value.ts';

/** Calls that a driver is given at once: enough to keep its sessions busy while a message travels. */
const WINDOW = 128;
/** Drivers that one call is tried with. */
const TRIES = 2;

interface Pending {
  readonly id: number;
  readonly call: DriverCall;
  readonly resolve: (value: Uint8Array | undefined) => void;
  readonly reject: (error: GigvaultError) => void;
  /** The tick at which it is too late. */
  readonly expires: number;
  tries: number;
  /** Answers of the driver before it was given this one. */
  answersBefore: number;
}

/** What is asked of a driver, in order, until it is answered or too late. */
export class CallQueue {
  readonly #limit: number;
  readonly #sent = new Map<number, Pending>();
  #waiting: Pending[] = [];
  #last = 0;
  #now = 0;
  #answered = 0;

  /** @param limit calls at most; further ones are turned away */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Calls that nobody has answered. */
  get size(): number {
    return this.#waiting.length + this.#sent.size;
  }

  /**
   * The answer, within so many ticks.
   * Errors: KEY_UNAVAILABLE (full, too late, two drivers died over it), the driver's.
   */
  add(call: DriverCall, ticks: number): Promise<Uint8Array | undefined> {
    if (this.size >= this.#limit) {
      return Promise.reject(unavailable(`More than ${this.#limit} calls wait for the token.`));
    }
    return new Promise((resolve, reject) => {
      this.#last += 1;
      const expires = this.#now + ticks;
      const pending = {
        id: this.#last,
        call,
        resolve,
        reject,
        expires,
        tries: 0,
        answersBefore: 0,
      };
      this.#waiting.push(pending);
    });
  }

  /** What may be sent now; it counts as sent. */
  take(): NumberedCall[] {
    const taken = this.#waiting.splice(0, WINDOW - this.#sent.size);
    for (const pending of taken) {
      pending.tries += 1;
      pending.answersBefore = this.#answered;
      this.#sent.set(pending.id, pending);
    }
    return taken.map(({ id, call }) => ({ id, ...call }));
  }

  settle(answers: readonly DriverAnswer[]): void {
    for (const answer of answers) {
      const pending = this.#sent.get(answer.id);
      this.#sent.delete(answer.id);
      this.#answered += 1;
      if ('error' in answer) pending?.reject(fromErrorRecord(answer.error));
      else pending?.resolve(answer.value);
    }
  }

  /** What was sent goes back to the front: a signature that nobody saw may be made again, and making a key looks first whether it is there. */
  driverDied(reason: string): void {
    const sent = [...this.#sent.values()];
    for (const { reject } of sent.filter(({ tries }) => tries >= TRIES)) {
      reject(unavailable(reason));
    }
    this.#sent.clear();
    this.#waiting = [...sent.filter(({ tries }) => tries < TRIES), ...this.#waiting];
  }

  /** Time passes. What is too late is told the reason, if there is one. True when the driver, or one of its threads, hangs. */
  tick(reason: string): boolean {
    this.#now += 1;
    const isLate = ({ expires }: Pending) => expires <= this.#now;
    const late = [...this.#sent.values()].filter(isLate);
    const hanging = late.some((pending) => this.#hangs(pending));
    for (const pending of [...late, ...this.#waiting.filter(isLate)]) {
      this.#sent.delete(pending.id);
      pending.reject(unavailable(reason || 'The token did not answer in time.'));
    }
    this.#waiting = this.#waiting.filter((pending) => !isLate(pending));
    return hanging;
  }

  rejectAll(message: string): void {
    for (const { reject } of [...this.#sent.values(), ...this.#waiting]) {
      reject(unavailable(message));
    }
    this.#sent.clear();
    this.#waiting = [];
  }

  /** Nobody was answered since it was sent, or all who came after it were. A token that makes a key may be silent for long. */
  #hangs({ id, answersBefore }: Pending): boolean {
    const since = this.#answered - answersBefore;
    const waits = [...this.#sent.values()].some((other) => makesKey(other.call) && other.id !== id);
    return !waits && (since === 0 || since >= WINDOW);
  }
}
