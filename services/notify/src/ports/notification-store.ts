import type { Notification } from '../notification/templates.ts';

/** Where notifications are kept, inside one transaction. */
export interface NotificationStore {
  /** Keeps each with status `logged`; leaves out those of events that it has. */
  add(notifications: readonly Notification[], createdAt: number): Promise<void>;
}
