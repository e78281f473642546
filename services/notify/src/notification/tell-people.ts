import type { Event } from '@gigvault/proto/event/v1/event_log';
import type { Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import type { NotificationStore } from '../ports/notification-store.ts';
import { type Notification, notificationOf } from './templates.ts';

/** What telling people needs. */
export interface TellDeps {
  readonly clock: Clock;
  readonly log: Log;
}

/** Stores what these events are worth telling, in the transaction of `store`. An event that is told already is not told again. */
export async function tellPeople(
  deps: TellDeps,
  store: NotificationStore,
  events: readonly Event[],
): Promise<void> {
  const notifications = events
    .map(notificationOf)
    .filter((notification) => notification !== undefined);
  if (notifications.length > 0) await store.add(notifications, deps.clock.now());
}

/** Writes what would be sent to the log, one line each: after the commit, so that nothing is announced that did not happen. */
export function logNotifications(
  deps: TellDeps,
  events: readonly Event[],
): readonly Notification[] {
  const notifications = events
    .map(notificationOf)
    .filter((notification) => notification !== undefined);
  for (const { template, producer, position, fields } of notifications) {
    deps.log.info({ operation: 'notify', template, producer, position, fields }, 'would notify');
  }
  return notifications;
}
