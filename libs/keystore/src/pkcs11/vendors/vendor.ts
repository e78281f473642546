import type { KeyType } from '@gigvault/x509/public-key';

/** What one vendor's library does in its own way. */
export interface Vendor {
  /** CK_TOKEN_INFO.manufacturerID, or that of CK_INFO. */
  readonly manufacturer: RegExp;
  /** Sessions that sign at once, unless the configuration says how many. */
  readonly sessions: number;
  /** Keys that sign in the driver's one thread: where that takes less than to go to another. */
  readonly inline: ReadonlySet<KeyType>;
  /** Key types that it says it has, and cannot use. */
  readonly broken: ReadonlySet<KeyType>;
  /** What it says of a ciphertext that is wrong. */
  readonly undecryptable: ReadonlySet<string>;
  /** Environment variables that the library reads. */
  readonly variables: readonly string[];
  /** Attributes of a private key beyond those that every library takes. */
  readonly privateKey: Readonly<Record<string, boolean>>;
}
