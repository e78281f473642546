/** What is counted of a client. A rotation makes a key as well; encrypting, decrypting and verifying with an HMAC key count as signing; changes of states and grants, and what is said of destructions, are each an audit record for ever. */
export type LimitedUse = 'generate' | 'sign' | 'list' | 'change';

/** How often one client may. */
export interface UseLimits {
  /**
   * Counts it, whatever comes of it. A refusal is told as KeyUsage does it, before it is thrown.
   * @param actor as in events: `user:<id>`, with all of the user's API keys, or `service:<name>`
   * @param keyId for the event; `*` when it is not about one key
   * Errors: RATE_LIMITED with the seconds to wait.
   */
  take(use: LimitedUse, actor: string, keyId: string): Promise<void>;
}
