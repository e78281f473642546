import type { StoredKey } from '../keys/stored-key.ts';
import type { KeyEvent } from './key-event.ts';

/** What comes of an encryption that is to be counted. */
export type EncryptionOutcome =
  | 'recorded'
  /** The key is no longer as it was read: nothing is counted or told. */
  | 'changed'
  /** Its version has encrypted as often as it may: nothing is counted or told. */
  | 'exhausted';

/** How often each version of a key has encrypted. */
export interface EncryptionTable {
  /** Counts one encryption by the current version of `key`, up to `limit`, with its event, under the condition of KeyTable's recordUse. */
  record(key: StoredKey, event: KeyEvent, limit: number): Promise<EncryptionOutcome>;
}
