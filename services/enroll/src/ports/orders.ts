import type { ErrorRecord } from '@gigvault/errors/gigvault-error';

/** RFC 8555 §9.7.7 and RFC 8738. */
export interface Identifier {
  readonly type: 'dns' | 'ip';
  readonly value: string;
}

/** RFC 8555 §7.1.6. */
export type OrderStatus = 'pending' | 'ready' | 'processing' | 'valid' | 'invalid';

/** An ACME order (RFC 8555 §7.1.3). Times are Unix milliseconds. */
export interface Order {
  readonly orderId: string;
  readonly accountId: string;
  readonly status: OrderStatus;
  readonly identifiers: readonly Identifier[];
  readonly authorizationIds: readonly string[];
  readonly profile: string;
  /** The profile's hash when the order was made: issuance under another one is refused (T14). */
  readonly profileHash: string;
  /** The enrolment request's id (UUID), fixed with the order: whoever submits it again gets the same certificate. */
  readonly requestId: string;
  /** 0 lets the profile decide. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** PKCS#10, from `processing` on. */
  readonly certificationRequest?: Buffer;
  /** All three from `valid` on. */
  readonly serialNumber?: string;
  readonly certificate?: Buffer;
  /** Issuer first, root last. */
  readonly chain?: readonly Buffer[];
  /** Why it is `invalid`. */
  readonly error?: ErrorRecord;
}

/**
 * One step of an order's life; happens only when the order is still in `from`. Who steps from `ready` has seen that the authorizations are
 * valid: a store takes it for an order that it has as pending as well.
 */
export type OrderStep =
  // A finalize was refused: nothing moves, and there is an event to show it.
  | {
      readonly from: 'ready';
      readonly to: 'ready';
      readonly refused: Buffer;
      readonly error: ErrorRecord;
    }
  | {
      readonly from: 'ready';
      readonly to: 'processing';
      readonly certificationRequest: Buffer;
      readonly resumeAt: number;
    }
  | { readonly from: 'processing'; readonly to: 'processing'; readonly resumeAt: number }
  | {
      readonly from: 'processing';
      readonly to: 'valid';
      readonly serialNumber: string;
      readonly issuerId: string;
      readonly certificate: Buffer;
      readonly chain: readonly Buffer[];
    }
  | { readonly from: OrderStatus; readonly to: 'invalid'; readonly error: ErrorRecord };

/** Which order a step is about, as its event names it. */
export type StepTarget = Pick<Order, 'orderId' | 'accountId' | 'requestId'>;

/** How much an account has ordered. */
export interface OrderLoad {
  /** Orders that are pending or ready, counted up to a limit. */
  readonly open: number;
  /** When its n-th newest order was made; undefined when it has fewer. */
  readonly nthNewest: number | undefined;
}

/** Where orders are kept. Every change is written together with its event. */
export interface Orders {
  create(order: Order): Promise<void>;
  /** @param most how far open orders are counted @param n which order is dated, from the newest on */
  load(accountId: string, most: number, n: number): Promise<OrderLoad>;
  find(orderId: string): Promise<Order | undefined>;
  /** The account's orders that are not invalid, newest first, after the order `cursor`. */
  list(accountId: string, cursor: string | undefined, limit: number): Promise<readonly Order[]>;
  /**
   * Compare and set: the order after the step, or undefined when it was not in `from` any more.
   * @param order what never changes of it
   */
  step(order: StepTarget, step: OrderStep): Promise<Order | undefined>;
}

/**
 * The furthest ahead that an order's time to resume lies, milliseconds. What lies further ahead was written by a clock that was ahead: it
 * counts as come.
 */
export const LONGEST_PAUSE = 600_000;

/** Orders that nobody asks about. */
export interface OrderSweep {
  /** Leases up to `limit` processing orders whose time to resume has come at `now`, or lies more than LONGEST_PAUSE ahead, until `leaseUntil`. */
  claimProcessing(now: number, leaseUntil: number, limit: number): Promise<readonly Order[]>;
  /** Up to `limit` pending or ready orders that expired before `now`. */
  findExpired(now: number, limit: number): Promise<readonly Order[]>;
  /** Deletes up to `limit` finished orders that expired before `before`; returns how many. */
  purge(before: number, limit: number): Promise<number>;
}
