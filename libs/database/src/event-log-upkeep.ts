import type { Log } from '@gigvault/telemetry/log';
import { type Metrics, queueDepth } from '@gigvault/telemetry/metrics';
import type { Clock } from '@gigvault/time/clock';
import type { ClockGuard } from '@gigvault/time/clock-guard';
import { periodic, type Worker } from '@gigvault/time/worker';
import type { EventLog } from './event-log.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** How long events stay that every consumer has acknowledged, in milliseconds: for people, and for a consumer that is restored from a backup. */
const KEEP = 7 * 24 * 60 * MINUTE;

/** What the upkeep of an event log needs. */
export interface EventLogUpkeepOptions {
  readonly eventLog: EventLog;
  readonly clock: Clock;
  readonly clockGuard: ClockGuard;
  readonly log: Log;
  readonly metrics: Metrics;
}

/**
 * Deletes old events that every consumer has acknowledged, and shows how many each has before it:
 * `gigvault_queue_depth{queue="events.<producer>.<consumer>"}`. The host runs it for every service with an event log.
 */
export function eventLogUpkeep(options: EventLogUpkeepOptions): Worker {
  const { eventLog, clock, clockGuard, log } = options;
  const { producer, consumers } = eventLog;
  const depth = queueDepth(options.metrics);
  let reapedAt = Number.NEGATIVE_INFINITY;
  return periodic({
    name: `${producer}.event-log-upkeep`,
    clock,
    interval: 10 * SECOND,
    async round(signal) {
      for (const consumer of consumers) {
        const { events } = await eventLog.lag(consumer);
        depth.set({ queue: `events.${producer}.${consumer}` }, events);
      }
      if (!clockGuard.isRight() || Math.abs(clock.now() - reapedAt) < MINUTE) return;
      reapedAt = clock.now();
      const events = await eventLog.reap(KEEP, signal);
      if (events > 0) log.info({ operation: 'event-log-upkeep', events }, 'old events are gone');
    },
    onError: (error) =>
      log.warn({ error, operation: 'event-log-upkeep' }, 'the event log was not looked after'),
  });
}
