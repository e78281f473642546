/** Remembers across restarts until when this service knew every revocation. */
export interface FreshnessStore {
  /** Unix ms; undefined before the first. */
  load(): Promise<number | undefined>;
  /** Never moves backwards. */
  save(asOf: number): Promise<void>;
}
