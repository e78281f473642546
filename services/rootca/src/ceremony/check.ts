/** One thing that was looked at. */
export interface Check {
  readonly what: string;
  /** Undefined: it is well. */
  readonly problem: string | undefined;
  /** What should be known of it all the same. */
  readonly note?: string;
}
