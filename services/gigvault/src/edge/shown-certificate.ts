import { X509Certificate } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import type { HealthCheck } from '@gigvault/host/service';
import type { Log } from '@gigvault/telemetry/log';
import type { Metrics } from '@gigvault/telemetry/metrics';
import type { Clock } from '@gigvault/time/clock';
import { fromPem } from '@gigvault/x509/pem';

/** Part of a certificate's life before whose end it should have been replaced. */
const LAST_PART = 1 / 10;

/** Tells operators when the certificate ends that the public listener shows, GigVault's own or one of another CA. */
export interface ShownCertificate {
  /** What the listener shows from now on, PEM. */
  show(tls: SecureContextOptions): void;
  /** An alarm: red in the last tenth of its life. */
  readonly healthCheck: HealthCheck;
}

/** Nothing is shown yet. */
export function shownCertificate(deps: {
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly log: Log;
}): ShownCertificate {
  const { clock, log } = deps;
  const gauge = deps.metrics.gauge(
    'public_certificate_not_after_timestamp_seconds',
    'Unix time at which the certificate of the public listener ends.',
    [],
  );
  let life = { begin: 0, end: Number.POSITIVE_INFINITY };
  return {
    show({ cert }) {
      life = lifeOf(String(cert));
      gauge.set(life.end / 1000);
      if (clock.now() > life.end)
        log.error({}, 'the certificate of the public listener has expired: clients refuse it');
    },
    healthCheck: {
      name: 'public-certificate',
      blocksReadiness: false,
      async check() {
        const { begin, end } = life;
        if (end - clock.now() < (end - begin) * LAST_PART)
          throw new Error(
            `the certificate of the public listener ends at ${new Date(end).toISOString()}`,
          );
      },
    },
  };
}

/** Of the chain's certificate that ends first; milliseconds. */
function lifeOf(pem: string): { readonly begin: number; readonly end: number } {
  const lives = fromPem(pem, 'CERTIFICATE').map((der) => {
    const { validFromDate, validToDate } = new X509Certificate(der);
    return { begin: validFromDate.getTime(), end: validToDate.getTime() };
  });
  return lives.reduce((first, other) => (other.end < first.end ? other : first));
}
