import type { Event } from '@gigvault/proto/event/v1/event_log';

/** What the data of an event holds, as far as we know: other services write it, so nothing is taken for granted. */
type Data = Readonly<Record<string, unknown>>;

interface Template {
  /** Whether people want to know of this event at all. Default yes. */
  readonly when?: (data: Data) => boolean;
  /** Members of the event's data that the text needs. */
  readonly fields: readonly string[];
}

const CERTIFICATE = [
  'serialNumber',
  'issuerId',
  'commonName',
  'names',
  'profile',
  'notAfter',
  'requester',
] as const;
const REQUEST = ['requestId', 'requester', 'protocol', 'profile', 'commonName', 'names'] as const;

/** Which events people are told of: one row a template, by event type. */
const TEMPLATES = {
  'certificate.issued': { 'certificate-issued': { fields: CERTIFICATE } },
  'certificate.revoked': {
    'certificate-revoked': { fields: [...CERTIFICATE, 'revokedAt', 'reasonCode'] },
  },
  'enrolment.submitted': {
    'enrolment-pending': {
      when: (data) => typeof data['approvalsNeeded'] === 'number' && data['approvalsNeeded'] > 0,
      fields: [...REQUEST, 'approvalsNeeded'],
    },
  },
  'enrolment.failed': { 'enrolment-failed': { fields: [...REQUEST, 'errorCode', 'errorMessage'] } },
  'enrolment.denied': { 'enrolment-denied': { fields: [...REQUEST, 'rules'] } },
  'enrolment.rejected': { 'enrolment-rejected': { fields: REQUEST } },
  'order.invalid': { 'order-failed': { fields: ['accountId', 'requestId', 'code', 'message'] } },
  'user.created': {
    'admin-created': {
      when: (data) => Array.isArray(data['roles']) && data['roles'].includes('admin'),
      fields: ['name', 'roles'],
    },
  },
  'apikey.created': { 'apikey-created': { fields: ['userId', 'label', 'roles', 'expiresAt'] } },
} as const satisfies Record<string, Readonly<Record<string, Template>>>;

/** Every template. */
export const TEMPLATE_NAMES = Object.values(TEMPLATES).flatMap(
  (templates) => Object.keys(templates) as TemplateName[],
);

type Named<T> = T extends unknown ? keyof T : never;
/** One of TEMPLATE_NAMES. */
export type TemplateName = Named<(typeof TEMPLATES)[keyof typeof TEMPLATES]>;

/** What people are to be told. */
export interface Notification {
  readonly producer: string;
  readonly position: number;
  readonly tenantId: string;
  /** As `certificate-issued`. */
  readonly template: string;
  /** What the text is made of; always `actor`, `subject` and `occurredAt`, then those of the template that the event has. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What to tell of an event: at most one notification. */
export function notificationOf(event: Event): Notification | undefined {
  const templates: Readonly<Record<string, Template>> = Object.hasOwn(TEMPLATES, event.type)
    ? TEMPLATES[event.type as keyof typeof TEMPLATES]
    : {};
  const data = JSON.parse(event.data.toString('utf8')) as Data;
  const found = Object.entries(templates).find(([, { when }]) => when?.(data) ?? true);
  if (!found) return undefined;
  const [template, { fields }] = found;
  const { producer, position, actor, subject, occurredAt } = event;
  const known = fields
    .filter((name) => Object.hasOwn(data, name))
    .map((name) => [name, data[name]]);
  return {
    producer,
    position,
    tenantId: typeof data['tenantId'] === 'string' ? data['tenantId'] : 'default',
    template,
    fields: { actor, subject, occurredAt, ...Object.fromEntries(known) },
  };
}
