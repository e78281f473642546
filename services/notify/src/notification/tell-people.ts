import type { Event } from '@gigvault/proto/event/v1/event_log';
import type { Log } from '@gigvault/telemetry/log';
import { notificationOf } from './templates.ts';

/** Writes what these events are worth telling to the log, one line each. Returns how many lines. */
export function tellPeople(log: Log, events: readonly Event[]): number {
  const notifications = events
    .map(notificationOf)
    .filter((notification) => notification !== undefined);
  for (const { template, producer, position, fields } of notifications) {
    log.info({ operation: 'notify', template, producer, position, fields }, 'would notify');
  }
  return notifications.length;
}
