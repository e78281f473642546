import { describe, expect, it } from '@jest/globals';
import { notificationOf } from './templates.ts';

function event(type: string, data: object) {
  return {
    position: 7,
    producer: 'ca',
    type,
    occurredAt: 1763764800000,
    actor: 'user:1',
    subject: '0a1b',
    data: Buffer.from(JSON.stringify(data)),
    traceId: '',
  };
}

describe('notificationOf', () => {
  it.each([
    ['certificate.issued', { commonName: 'a.example' }, 'certificate-issued'],
    ['certificate.revoked', { reasonCode: 1 }, 'certificate-revoked'],
    ['enrolment.submitted', { approvalsNeeded: 2 }, 'enrolment-pending'],
    ['enrolment.failed', { errorCode: 'LINT_FAILED' }, 'enrolment-failed'],
    ['enrolment.denied', {}, 'enrolment-denied'],
    ['enrolment.rejected', {}, 'enrolment-rejected'],
    ['order.invalid', {}, 'order-failed'],
    ['user.created', { roles: ['admin'] }, 'admin-created'],
    ['apikey.created', {}, 'apikey-created'],
  ])('tells of %s %j as %s', (type, data, template) => {
    const { fields, ...notification } = notificationOf(event(type, data))!;
    expect(notification).toEqual({ producer: 'ca', position: 7, tenantId: 'default', template });
    expect(fields).toEqual({
      actor: 'user:1',
      subject: '0a1b',
      occurredAt: 1763764800000,
      ...data,
    });
  });

  it.each([
    ['enrolment.submitted', { approvalsNeeded: 0 }],
    ['user.created', { roles: ['operator'] }],
    ['user.created', {}],
    ['certificate.intended', {}],
    ['token.issued', {}],
    ['constructor', {}],
  ])('tells nobody of %s %j', (type, data) => {
    expect(notificationOf(event(type, data))).toBeUndefined();
  });

  it('passes on only what the template names, and keeps the tenant', () => {
    const told = notificationOf(
      event('certificate.issued', { commonName: 'a', tbsSha256: 'x', tenantId: 't1' }),
    )!;
    expect(told.tenantId).toBe('t1');
    expect(told.fields).not.toHaveProperty('tbsSha256');
  });
});
