import { asGigvaultError } from '@gigvault/errors/gigvault-error';
import type { Metrics } from '@gigvault/telemetry/metrics';
import type { Clock } from '@gigvault/time/clock';
import type { Issuer } from './issuers/issuer-registry.ts';
import type { IssuanceObserver, RevocationObserver } from './ports/observer.ts';

/** Counts and times what the CA does; docs/operations/metrics.md. */
export interface CaMetrics extends IssuanceObserver, RevocationObserver {
  issuerLoaded(issuer: Issuer): void;
}

/** The CA's metrics in this registry. */
export function createCaMetrics(metrics: Metrics, clock: Clock): CaMetrics {
  const issued = metrics.counter('certificates_issued_total', 'Certificates issued.', [
    'ca',
    'profile',
    'protocol',
  ]);
  const duration = metrics.histogram(
    'certificate_issue_duration_seconds',
    'From request to durable certificate.',
    ['ca'],
  );
  const rejected = metrics.counter(
    'certificates_rejected_total',
    'Issuances refused or failed, by error code.',
    ['reason'],
  );
  const revoked = metrics.counter('certificates_revoked_total', 'Certificates revoked.', [
    'ca',
    'reason',
  ]);
  const notAfter = metrics.gauge(
    'ca_not_after_timestamp_seconds',
    'When the CA certificate ends.',
    ['ca'],
  );
  const refused = (error: unknown) => rejected.inc({ reason: asGigvaultError(error).code });
  return {
    refused,
    async observe({ profile, protocol }, run) {
      const start = clock.now();
      try {
        const result = await run();
        issued.inc({ ca: result.issuerId, profile, protocol });
        duration.observe({ ca: result.issuerId }, (clock.now() - start) / 1_000);
        return result;
      } catch (error) {
        refused(error);
        throw error;
      }
    },
    revoked: (ca, reason) => revoked.inc({ ca, reason }),
    issuerLoaded: ({ record, certificate }) =>
      notAfter.set({ ca: record.issuerId }, certificate.notAfter / 1_000),
  };
}
