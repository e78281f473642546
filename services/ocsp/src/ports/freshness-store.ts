/** Remembers across restarts until when this service knew every revocation. */
export interface FreshnessStore {
  /** Unix ms; undefined before the first. */
  load(): Promise<number | undefined>;
  /** Never moves backwards, but from after `now`: a clock that was ahead remembered that. Unix ms. */
  save(asOf: number, now: number): Promise<void>;
}
