import type { ErrorRecord } from '@gigvault/errors/gigvault-error';
import type { SignatureFormat } from '../src/key-store.ts';

/** What the adapter asks of the driver process. */
export type DriverCall =
  | { readonly method: 'generate'; readonly keyType: string }
  | { readonly method: 'publicKey'; readonly handle: string }
  | {
      readonly method: 'sign';
      readonly handle: string;
      readonly data: Uint8Array;
      readonly format: SignatureFormat;
    }
  | { readonly method: 'remove'; readonly handle: string }
  | { readonly method: 'check' };

/** A call under its number; answers come in any order. */
export type DriverRequest = DriverCall & { readonly id: number };

/** What comes back. */
export type DriverReply =
  | { readonly id: number; readonly value: string | Uint8Array | undefined }
  | { readonly id: number; readonly error: ErrorRecord };
