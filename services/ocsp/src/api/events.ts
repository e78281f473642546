import type { Event } from '@gigvault/proto/event/v1/event_log';
import { z } from 'zod';
import type { StateChange } from '../ports/certificate-state.ts';

const issued = z.object({ issuerId: z.string(), serialNumber: z.string(), notAfter: z.number() });
const revoked = issued.extend({ revokedAt: z.number(), reasonCode: z.number().int() });
const abandoned = issued.extend({
  revokedAt: z.number().optional(),
  reasonCode: z.number().int().optional(),
});

/** CRLReason superseded: an abandoned certificate's request gets another serial number. */
const SUPERSEDED = 4;

/**
 * The state changes that events of `ca` tell of, in their order; other events tell nothing.
 * Throws on an event that cannot be read: skipping it could hide a revocation, so the consumer stands still and health turns red.
 */
export function toStateChanges(events: readonly Event[]): StateChange[] {
  return events.flatMap((event): StateChange[] => {
    switch (event.type) {
      case 'certificate.issued': {
        const { issuerId, serialNumber, notAfter } = issued.parse(dataOf(event));
        return [{ issuerId, serialNumber, notAfter, status: 'good', revokedAt: 0, reasonCode: 0 }];
      }
      case 'certificate.revoked':
        return [{ ...revoked.parse(dataOf(event)), status: 'revoked' }];
      case 'certificate.abandoned': {
        const data = abandoned.parse(dataOf(event));
        const revokedAt = data.revokedAt ?? event.occurredAt;
        const reasonCode = data.reasonCode ?? SUPERSEDED;
        return [{ ...data, status: 'revoked', revokedAt, reasonCode }];
      }
      default:
        return [];
    }
  });
}

/** Whether a CA has been added. */
export function tellsOfIssuer(events: readonly Event[]): boolean {
  return events.some((event) => event.type === 'issuer.created');
}

function dataOf(event: Event): unknown {
  return JSON.parse(event.data.toString('utf8'));
}
