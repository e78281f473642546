import type { Event } from '@gigvault/proto/event/v1/event_log';
import { z } from 'zod';
import type { Revocation } from '../ports/revocation-store.ts';

const revoked = z.object({
  issuerId: z.string(),
  serialNumber: z.string(),
  crlShard: z.number().int().min(0),
  revokedAt: z.number(),
  reasonCode: z.number().int(),
  notAfter: z.number(),
});
const abandoned = revoked.partial({ revokedAt: true, reasonCode: true });

/** CRLReason superseded: an abandoned certificate's request gets another serial number. */
const SUPERSEDED = 4;

/**
 * The revocations that events of `ca` tell of, in their order; other events tell nothing.
 * Throws on an event that cannot be read: skipping it could hide a revocation, so the consumer stands still and its lag shows.
 */
export function toRevocations(events: readonly Event[]): Revocation[] {
  return events.flatMap((event): Revocation[] => {
    if (event.type === 'certificate.revoked') return [revoked.parse(dataOf(event))];
    if (event.type !== 'certificate.abandoned') return [];
    const data = abandoned.parse(dataOf(event));
    const revokedAt = data.revokedAt ?? event.occurredAt;
    return [{ ...data, revokedAt, reasonCode: data.reasonCode ?? SUPERSEDED }];
  });
}

/** Whether a CA has been added. */
export function tellsOfIssuer(events: readonly Event[]): boolean {
  return events.some((event) => event.type === 'issuer.created');
}

function dataOf(event: Event): unknown {
  return JSON.parse(event.data.toString('utf8'));
}
