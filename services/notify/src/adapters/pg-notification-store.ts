import { query } from '@gigvault/database/query';
import type { ClientBase } from 'pg';
import type { NotificationStore } from '../ports/notification-store.ts';

const ADD = `
  INSERT INTO notification (producer, position, tenant_id, template, fields, status, created_at)
  SELECT n.producer, n.position, n.tenant_id, n.template, n.fields, 'logged', $6
  FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::jsonb[]) AS n (producer, position, tenant_id, template, fields)
  ON CONFLICT (producer, position) DO NOTHING`;

/** Notifications in the transaction of `client`. */
export function pgNotificationStore(client: ClientBase): NotificationStore {
  return {
    async add(notifications, createdAt) {
      const values = [
        notifications.map(({ producer }) => producer),
        notifications.map(({ position }) => position),
        notifications.map(({ tenantId }) => tenantId),
        notifications.map(({ template }) => template),
        notifications.map(({ fields }) => JSON.stringify(fields)),
        createdAt,
      ];
      await query(client, { name: 'notify_add', text: ADD, values });
    },
  };
}
