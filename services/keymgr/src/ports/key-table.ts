import type { KeyGrant } from '../keys/key-grant.ts';
import type { KeyState } from '../keys/key-state.ts';
import type { KeyVersion, StoredKey } from '../keys/stored-key.ts';
import type { KeyEvent } from './key-event.ts';

/** Which rows of a listing. */
export interface KeyPage {
  /** 1 to 1000. */
  readonly limit: number;
  /** The last key id of the page before; empty for the first page. */
  readonly after: string;
  /** Only this tenant's; all when absent. */
  readonly tenantId?: string | undefined;
  /** Only those in this state; all when absent. */
  readonly state?: KeyState | undefined;
  /** Only those whose current version is in this backend; all when absent. */
  readonly backend?: string | undefined;
}

/** What of a key changes as it goes from state to state. */
export type KeyCourse = Pick<StoredKey, 'state' | 'destroyAt' | 'restoreState' | 'destroyBy'>;

/** The keys that exist. What changes one compares what was read first: of two that change the same key only one does, the other gets false. */
export interface KeyTable {
  /** Stores key and event together. False when the key id is taken, and then nothing is stored. */
  insert(key: StoredKey, event: KeyEvent): Promise<boolean>;
  find(keyId: string): Promise<StoredKey | undefined>;
  /** In order of key id. */
  list(page: KeyPage): Promise<readonly StoredKey[]>;
  /** The earlier versions, the newest first, from the one before `before` on; at most `limit`. */
  versions(keyId: string, before: number, limit: number): Promise<readonly KeyVersion[]>;
  /** Stores what comes of the key, with its event. False when course, version or grants of the key are no longer those of `key`. */
  move(key: StoredKey, next: KeyCourse, event: KeyEvent): Promise<boolean>;
  /** Makes `next` the current version and keeps the one of `key`, with the event. False as for `move`. */
  rotate(key: StoredKey, next: KeyVersion, event: KeyEvent): Promise<boolean>;
  /** Makes this the list of the key's grants and counts its version on, with the event. False as for `move`. */
  grant(key: StoredKey, grants: readonly KeyGrant[], event: KeyEvent): Promise<boolean>;
  /**
   * Stores the event of a use if course, version and grants of the key are still those of `key`: whatever changed the key before then comes first, and
   * whatever changes it later comes after the event in the log. False otherwise, and then nothing is stored.
   */
  recordUse(key: StoredKey, event: KeyEvent): Promise<boolean>;
  /**
   * Keys whose destruction is due at `until`, and that so many have approved besides who asked, or that has begun: those that wait longest first, from the one after
   * `after` on; at most `limit`.
   */
  due(
    until: number,
    approvals: number,
    after: StoredKey | undefined,
    limit: number,
  ): Promise<readonly StoredKey[]>;
}
