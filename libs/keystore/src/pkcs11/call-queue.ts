import { fromErrorRecord, type GigvaultError } from '@gigvault/errors/gigvault-error';
import type { DriverAnswer, DriverCall, NumberedCall } from './driver-messages.ts';
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
export interface CallQueue {
  /** Calls that nobody has answered. */
  readonly size: number;
  /**
   * The answer, within so many ticks.
   * Errors: KEY_UNAVAILABLE (full, too late, the driver died twice over it), the driver's.
   */
  add(call: DriverCall, ticks: number): Promise<Uint8Array | undefined>;
  /** What may be sent now; it counts as sent. */
  take(): NumberedCall[];
  settle(answers: readonly DriverAnswer[]): void;
  /** What was sent goes back to the front: a signature that nobody saw may be made again, and making a key looks first whether it is there. */
  driverDied(reason: string): void;
  /** Time passes. True when the driver, or one of its sessions, hangs. */
  tick(reason: string): boolean;
  rejectAll(message: string): void;
}

/** @param limit calls at most; further ones are turned away */
export function callQueue(limit: number): CallQueue {
  let waiting: Pending[] = [];
  const sent = new Map<number, Pending>();
  let last = 0;
  let now = 0;
  let answered = 0;

  /** A call that was answered by nobody although all were idle by then, or everybody who came after it was. */
  function hangs({ id, answersBefore }: Pending): boolean {
    const since = answered - answersBefore;
    const makesKeys = [...sent.values()].some(
      (other) => other.call.method === 'generate' && other.id !== id,
    );
    return !makesKeys && (since === 0 || since >= WINDOW);
  }

  function expire(pending: Pending, reason: string): void {
    pending.reject(unavailable(`The token did not answer in time. ${reason}`.trim()));
  }

  return {
    get size() {
      return waiting.length + sent.size;
    },
    add(call, ticks) {
      if (waiting.length + sent.size >= limit) {
        return Promise.reject(unavailable(`More than ${limit} calls wait for the token.`));
      }
      return new Promise((resolve, reject) => {
        last += 1;
        const expires = now + ticks;
        waiting.push({ id: last, call, resolve, reject, expires, tries: 0, answersBefore: 0 });
      });
    },
    take() {
      const taken = waiting.splice(0, WINDOW - sent.size);
      for (const pending of taken) {
        pending.tries += 1;
        pending.answersBefore = answered;
        sent.set(pending.id, pending);
      }
      return taken.map(({ id, call }) => ({ id, ...call }));
    },
    settle(answers) {
      for (const answer of answers) {
        const pending = sent.get(answer.id);
        sent.delete(answer.id);
        answered += 1;
        if ('error' in answer) pending?.reject(fromErrorRecord(answer.error));
        else pending?.resolve(answer.value);
      }
    },
    driverDied(reason) {
      const again: Pending[] = [];
      for (const pending of sent.values()) {
        if (pending.tries >= TRIES) pending.reject(unavailable(reason));
        else again.push(pending);
      }
      sent.clear();
      waiting = [...again, ...waiting];
    },
    tick(reason) {
      now += 1;
      const late = [...sent.values()].filter(({ expires }) => expires <= now);
      const hanging = late.some(hangs);
      for (const pending of late) {
        sent.delete(pending.id);
        expire(pending, reason);
      }
      for (const pending of waiting.filter(({ expires }) => expires <= now)) {
        expire(pending, reason);
      }
      waiting = waiting.filter(({ expires }) => expires > now);
      return hanging;
    },
    rejectAll(message) {
      for (const pending of [...sent.values(), ...waiting]) pending.reject(unavailable(message));
      sent.clear();
      waiting = [];
    },
  };
}
