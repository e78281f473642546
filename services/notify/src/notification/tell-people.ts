import type { Event } from '@gigvault/proto/event/v1/event_log';
import type { Log } from '@gigvault/telemetry/log';
import { type Notification, notificationOf } from './templates.ts';

/** Writes what these events are worth telling to the log, one line each, and returns it. */
export function tellPeople(log: Log, events: readonly Event[]): readonly Notification[] {
  const notifications = events
    .map(notificationOf)
    .filter((notification) => notification !== undefined);
  for (const { template, producer, position, fields } of notifications) {
    log.info({ operation: 'notify', template, producer, position, fields }, 'notification');
  }
  return notifications;
}
