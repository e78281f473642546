import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Clock } from '@gigvault/time/clock';

/** How far the audit service is behind this service's event log. */
export interface AuditLag {
  readonly events: number;
  /** Age of the oldest event that it has not read, milliseconds. */
  readonly oldestMs: number;
}

/** Stops issuance while the audit service is too far behind. */
export interface AuditGate {
  /** Errors: AUDIT_LAGGING; what reading the lag throws. */
  check(): Promise<void>;
}

/** What the gate needs. */
export interface AuditGateOptions {
  readonly clock: Clock;
  readonly lag: () => Promise<AuditLag>;
  /** More than this closes the gate. */
  readonly limits: AuditLag;
}

/** Milliseconds for which a lag that was read counts as the present one. */
const FRESH = 1_000;

/** A gate that reads the lag at most once a second, whatever the load. */
export function createAuditGate({ clock, lag, limits }: AuditGateOptions): AuditGate {
  let known: { at: number; lag: AuditLag } | undefined;
  let reading: Promise<AuditLag> | undefined;

  async function read(): Promise<AuditLag> {
    const present = await lag();
    known = { at: clock.now(), lag: present };
    return present;
  }

  function current(): AuditLag | Promise<AuditLag> {
    if (known !== undefined && Math.abs(clock.now() - known.at) < FRESH) return known.lag;
    reading ??= read().finally(() => {
      reading = undefined;
    });
    return reading;
  }

  return {
    async check() {
      const { events, oldestMs } = await current();
      if (events <= limits.events && oldestMs <= limits.oldestMs) return;
      throw new GigvaultError(
        'AUDIT_LAGGING',
        'The audit log is behind; no certificate is issued until it has caught up.',
        {
          details: { events, oldestMs },
          retryAfter: 5,
        },
      );
    },
  };
}
