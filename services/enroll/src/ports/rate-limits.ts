/** Caps against floods by one party, counted in this process. */
export interface RateLimits {
  /** Before an account is made for a client at this IP address. Errors: RATE_LIMITED. */
  newAccount(address: string): void;
  /** Before something is written for an account beside its orders, which have a cap of their own. Errors: RATE_LIMITED. */
  change(accountId: string): void;
}
