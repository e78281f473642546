import type { CaEvent } from './event.ts';

/** The durable steps from a CA's old key to its new one. Each is one transaction with its event. */
export interface IssuerRotation {
  /** Somebody wants a key after that of the issuer `from`, before there is one. False when somebody wanted it before: that was told then. */
  begin(from: string, event: CaEvent): Promise<boolean>;
  /** A service answers for a prepared issuer. False when it had said so, or the issuer is not prepared. */
  confirm(issuerId: string, peer: string, event: CaEvent): Promise<boolean>;
  /**
   * The line's current issuer → superseded and the prepared one → current, if these peers have confirmed it. False, and nothing is changed,
   * unless both were so.
   * @param to `at` Unix ms
   */
  switchTo(
    to: { readonly issuerId: string; readonly from: string; readonly at: number },
    peers: readonly string[],
    event: CaEvent,
  ): Promise<boolean>;
}

/** The end of an issuer. A responder's certificate of the issuer itself does not count as issued: it serves the others. */
export interface IssuerRetirement {
  /** When the last certificate that it has issued ends, revoked or not, Unix ms; undefined when it has issued none. Reads much: ask seldom. */
  lastNotAfter(issuerId: string): Promise<number | undefined>;
  /**
   * superseded → retired, unless a certificate of it ends at `after` (Unix ms) or later, or is being signed, or it was superseded since then: who has
   * not heard of that may still issue. False then.
   */
  retire(issuerId: string, after: number, event: CaEvent): Promise<boolean>;
}
