import type { KeyHandle } from '@gigvault/keystore/key-store';

/** The keys with which backends are being tried: nothing else knows of them. Durable when each resolves. */
export interface TrialTable {
  /** @param at Unix milliseconds */
  begin(backend: string, handle: KeyHandle, at: number): Promise<void>;
  end(backend: string, handle: KeyHandle): Promise<void>;
  /** Those that were begun before then, Unix milliseconds. */
  begunBefore(backend: string, then: number): Promise<readonly KeyHandle[]>;
}
