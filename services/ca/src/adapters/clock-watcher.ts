import type { ServiceContext } from '@gigvault/host/service';
import { failureLog } from '@gigvault/telemetry/log';
import { periodic, type Worker } from '@gigvault/time/worker';
import type { CaConfig } from '../ca.config.ts';

/** Milliseconds. */
const INTERVAL = 5_000;

/** Shows by how much the clock was set, and says once when that stops issuance, and when it does no more. */
export function clockWatcher(
  context: Pick<ServiceContext<CaConfig>, 'clock' | 'clockGuard' | 'log' | 'metrics'>,
): Worker {
  const { clock, clockGuard, log, metrics } = context;
  const offset = metrics.gauge(
    'clock_moved_seconds',
    'By how much the time of day was set since the start.',
    [],
  );
  const failures = failureLog(
    log,
    'the clock was set: no certificate is issued',
    'the clock is right again: certificates are issued',
  );
  return periodic({
    name: 'ca.clock',
    clock,
    interval: INTERVAL,
    async round() {
      offset.set({}, clockGuard.moved() / 1_000);
      try {
        clockGuard.check();
        failures.worked();
      } catch (error) {
        failures.failed('error', error);
      }
    },
    onError: (error) => log.error({ error, operation: 'ca.clock' }, 'the clock is not watched'),
  });
}
