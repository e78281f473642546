import type { KeyHandle } from '@gigvault/keystore/key-store';
import type { AnyKeyType } from '@gigvault/keystore/key-types';

/** The key of a test, as it is known before it is made. */
export interface TestKey {
  readonly backend: string;
  /** Its handle; where the backend has named keys, its name. */
  readonly name: KeyHandle;
  readonly keyType: AnyKeyType;
}

/** The keys with which backends are being tested: nothing else knows of them. Durable when each resolves. */
export interface BackendTestTable {
  /** @param at Unix milliseconds */
  begin(key: TestKey, at: number): Promise<void>;
  end(key: TestKey): Promise<void>;
  /** Those that were begun before then, Unix milliseconds: the oldest, 100 at most. */
  begunBefore(backend: string, then: number): Promise<readonly TestKey[]>;
}
