/** Turns names into addresses. Asked once per hop of a validation. */
export interface Resolver {
  /** Every address of the name, IPv4 and IPv6, in order of preference. Throws ChallengeFailure `dns`. */
  resolve(name: string, signal: AbortSignal): Promise<readonly string[]>;
}
