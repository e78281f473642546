import { type EventConsumer, eventConsumer } from '@gigvault/database/event-consumer';
import type { Event, EventLogService } from '@gigvault/proto/event/v1/event_log';
import type { Client } from '@gigvault/rpc/call';
import { RPC } from '@gigvault/rpc/contracts';
import { REASON_CODE } from '@gigvault/x509/reason-code';
import type { PoolClient } from 'pg';
import { z } from 'zod';
import type { ServiceContext } from './service.ts';

/** What an event of `ca` tells of one certificate. */
export interface CertificateChange {
  readonly issuerId: string;
  /** Lower-case hex. */
  readonly serialNumber: string;
  readonly crlShard: number;
  /** Unix ms, of the certificate. */
  readonly notAfter: number;
  readonly status: 'good' | 'revoked';
  /** Unix ms; 0 when good. */
  readonly revokedAt: number;
  /** CRLReason, RFC 5280 §5.3.1; 0 when good or unspecified. */
  readonly reasonCode: number;
}

/** How a service follows the certificates and issuers of `ca`. */
export interface FollowCaOptions {
  /** Default: the event log of `ca`. */
  readonly source?: Client<EventLogService>;
  /** Writes what changed, in their order, in the transaction that also moves the cursor. */
  handle(client: PoolClient, changes: readonly CertificateChange[]): Promise<void>;
  /** Told after the commit; a crash may skip it. */
  committed(changes: readonly CertificateChange[]): void;
  /** There is a new CA, or one has another place. Told after the commit. */
  issuersChanged(): void;
}

/** Follows the event log of `ca`, as event-consumer.ts says. An event that cannot be read stops it: skipping one could hide a revocation. */
export function followCa(
  context: Pick<ServiceContext<unknown>, 'name' | 'client' | 'database' | 'clock' | 'log'>,
  options: FollowCaOptions,
): EventConsumer {
  const { name, database, clock, log } = context;
  return eventConsumer({
    producer: 'ca',
    consumer: name,
    source: options.source ?? context.client(RPC.eventLog, 'ca'),
    pool: database,
    clock,
    log,
    // Within the second in which a revocation must be seen.
    pace: 100,
    handle: (client, events) => options.handle(client, toChanges(events)),
    afterCommit(events) {
      options.committed(toChanges(events));
      if (events.some(({ type }) => type.startsWith('issuer.'))) options.issuersChanged();
    },
  });
}

const issued = z.object({
  issuerId: z.string(),
  serialNumber: z.string(),
  crlShard: z.number().int().min(0),
  notAfter: z.number(),
});
const revoked = issued.extend({ revokedAt: z.number(), reasonCode: z.number().int() });
const abandoned = revoked.partial({ revokedAt: true, reasonCode: true });

function toChanges(events: readonly Event[]): CertificateChange[] {
  return events.flatMap((event) => toChange(event) ?? []);
}

function toChange(event: Event): CertificateChange | undefined {
  switch (event.type) {
    case 'certificate.issued':
      return { ...issued.parse(dataOf(event)), status: 'good', revokedAt: 0, reasonCode: 0 };
    case 'certificate.revoked':
      return { ...revoked.parse(dataOf(event)), status: 'revoked' };
    case 'certificate.abandoned': {
      const data = abandoned.parse(dataOf(event));
      // Its request gets another serial number.
      const { revokedAt = event.occurredAt, reasonCode = REASON_CODE.superseded } = data;
      return { ...data, status: 'revoked', revokedAt, reasonCode };
    }
    default:
      return undefined;
  }
}

function dataOf(event: Event): unknown {
  return JSON.parse(event.data.toString('utf8'));
}
