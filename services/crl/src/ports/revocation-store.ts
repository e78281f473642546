import type { ShardKey } from './shard.ts';

/** A revoked certificate, as `ca` tells. */
export interface Revocation extends ShardKey {
  /** Lower-case hex. */
  readonly serialNumber: string;
  /** Unix ms. */
  readonly revokedAt: number;
  readonly reasonCode: number;
  /** Unix ms, of the certificate. */
  readonly notAfter: number;
}

/** A revocation with its place in the CRL. */
export interface RevokedEntry extends Revocation {
  /** DER of the revokedCertificates element. */
  readonly entry: Buffer;
}

/** Writes revocations, within the transaction that also stores the event cursor. */
export interface RevocationStore {
  /** At most one entry a certificate; a later one replaces an earlier. The shards count as changed at `changedAt` (Unix ms). */
  record(entries: readonly RevokedEntry[], changedAt: number): Promise<void>;
}
