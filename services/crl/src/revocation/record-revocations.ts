import { encodeCrlEntry } from '@gigvault/x509/crl';
import type { Revocation, RevocationStore } from '../ports/revocation-store.ts';

/** CRLReasons that a CRL may carry (Baseline Requirements §7.2.2): no hold, no removeFromCRL, and unspecified is left out. */
const PUBLISHED_REASONS: ReadonlySet<number> = new Set([1, 3, 4, 5, 9]);

/**
 * Writes what a batch of events tells into the transaction of `store`. Idempotent.
 * A reason that may not be published is left out and the certificate is revoked all the same: no hold, ever (T59).
 */
export async function recordRevocations(
  store: RevocationStore,
  revocations: readonly Revocation[],
  now: number,
): Promise<void> {
  const last = new Map(revocations.map((r) => [`${r.issuerId}/${r.serialNumber}`, r]));
  const entries = [...last.values()].map((revocation) => {
    const reasonCode = publishedReason(revocation.reasonCode);
    const { serialNumber, revokedAt } = revocation;
    return {
      ...revocation,
      reasonCode,
      entry: encodeCrlEntry({ serialNumber, revokedAt, reasonCode }),
    };
  });
  if (entries.length > 0) await store.record(entries, now);
}

/** The reason as it stands in the CRL; 0 stands for none. */
export function publishedReason(reasonCode: number): number {
  return PUBLISHED_REASONS.has(reasonCode) ? reasonCode : 0;
}
