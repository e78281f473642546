/** The labels under which an issuance is counted. */
export interface IssuanceLabels {
  readonly profile: string;
  readonly protocol: string;
}

/** Counts and times issuances. */
export interface IssuanceObserver {
  /** Runs `run`; counts it as issued, or as rejected by its error's code. */
  observe<T extends { readonly issuerId: string }>(
    labels: IssuanceLabels,
    run: () => Promise<T>,
  ): Promise<T>;
  /** Counts an issuance that was refused before it was asked for. */
  refused(error: unknown): void;
}

/** Counts revocations. */
export interface RevocationObserver {
  /** @param reason CRLReason's name. */
  revoked(issuerId: string, reason: string): void;
}
