/** A use of a key, or an attempt. */
export interface KeyUse {
  readonly keyId: string;
  /** As it was asked for; unknown purposes are refused but still told. */
  readonly purpose: string;
  /** A service by its name; a person as in events, `user:<id>`. */
  readonly caller: string;
}

/** A caller as in events. */
export function actorOf(caller: string): string {
  return caller.includes(':') ? caller : `service:${caller}`;
}

/** Tells the audit log of what is not recorded one by one. */
export interface KeyUsage {
  /** Counts a signature that is not recorded under an intent; counts become events once a second. */
  used(use: KeyUse): void;
  /** Writes that a use was refused, and why. Durable when it resolves; repetitions within a minute are counted, and written with their number. */
  refused(use: KeyUse, reason: string): Promise<void>;
}
