import type { StoredKey } from '../keys/stored-key.ts';
import type { KeyEvent } from './key-event.ts';

/** Which rows of a listing. */
export interface KeyPage {
  /** 1 to 1000. */
  readonly limit: number;
  /** The last key id of the page before; empty for the first page. */
  readonly after: string;
  /** Only this tenant's; all when absent. */
  readonly tenantId?: string;
}

/** The keys that exist. */
export interface KeyTable {
  /** Stores key and event together. False when the key id is taken, and then nothing is stored. */
  insert(key: StoredKey, event: KeyEvent): Promise<boolean>;
  find(keyId: string): Promise<StoredKey | undefined>;
  /** In order of key id. */
  list(page: KeyPage): Promise<readonly StoredKey[]>;
}
