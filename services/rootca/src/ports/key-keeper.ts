import type { RootKey } from '../ceremony/root-key.ts';
import type { Plan } from '../plan/plan.ts';

/** A root key that can sign until it is closed. */
export interface OpenRootKey extends RootKey {
  close(): Promise<void>;
}

/** Where a ceremony makes the root's key, so that afterwards only the shares of a secret open it. */
export interface KeyKeeper {
  /** In the root's directory. */
  readonly file: { readonly name: string; readonly mode: number };
  /** As `in a file, encrypted`. */
  readonly place: string;
  /**
   * A new key of the plan's type. `keep` puts the content of the keeper's file on the disk, without the secret of no use, before the key is anywhere where a process
   * that dies would leave it. Errors: those of `keep`; KEY_UNAVAILABLE; INVALID_ARGUMENT where lock could not work, before anything is made.
   */
  make(plan: Plan, secret: Buffer, keep: (content: string) => Promise<void>): Promise<OpenRootKey>;
  /** From now on the key opens with the secret only. May be repeated. Errors: KEY_UNAVAILABLE, also where that key is not: nothing is changed then. */
  lock(content: string, secret: Buffer): Promise<void>;
  /** A key that lock has locked, or that was not locked yet. Errors: KEY_UNAVAILABLE. */
  open(content: string, secret: Buffer): Promise<OpenRootKey>;
  /** Destroys a key that is of no use any more, or was never made. May be repeated. Errors: KEY_UNAVAILABLE, also when it was made elsewhere. */
  destroy(content: string): Promise<void>;
}
