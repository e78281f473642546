import type { Notification } from '../notification/templates.ts';

/** Media type of what is sent (CloudEvents 1.0, JSON format §3). */
export const CLOUD_EVENT = 'application/cloudevents+json; charset=utf-8';

/** The notification as a CloudEvent (CloudEvents 1.0 §3). @param source the installation, as `https://pki.example.com` */
export function cloudEvent(id: string, source: string, notification: Notification): string {
  const { template, fields, tenantId, producer, position } = notification;
  const { subject, occurredAt, ...data } = fields;
  return JSON.stringify({
    specversion: '1.0',
    id,
    source,
    type: `gigvault.${template}`,
    subject,
    time: new Date(occurredAt as number).toISOString(),
    datacontenttype: 'application/json',
    data: { ...data, tenantId, producer, position },
  });
}
