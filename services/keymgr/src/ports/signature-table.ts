import type { PeerName } from '@gigvault/rpc/service-name';
import type { Purpose } from '../keys/purposes.ts';

/** A signature that waits to be recorded. */
export interface NewSignature {
  /** UUID. */
  readonly intentId: string;
  readonly keyId: string;
  readonly purpose: Purpose;
  readonly caller: PeerName;
  readonly tbsSha256: Buffer;
  readonly signature: Buffer;
}

/** What stands under an intent. */
export type IntentRecord =
  | {
      readonly status: 'signed';
      readonly keyId: string;
      readonly tbsSha256: Buffer;
      readonly signature: Buffer;
    }
  | { readonly status: 'closed' };

/** Signatures by intent. An intent has one record for ever; the first write wins. */
export interface SignatureTable {
  /** Records the signature with its event unless the intent has a record. Returns what stands there afterwards, durable. */
  record(signature: NewSignature): Promise<IntentRecord>;
  /** Closes the intent for ever, with its event, unless it has a record. Returns what stands there afterwards, durable. */
  close(intentId: string, caller: PeerName): Promise<IntentRecord>;
}
