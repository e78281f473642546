import type { NewEvent } from '@gigvault/database/new-event';
import type { JudgedRequest } from '../enrolment/stored-request.ts';

/** What every event of a request says of it. */
export function factsOf({
  requestId,
  requester,
  protocol,
  profile,
  commonName,
  subjectAltName,
}: JudgedRequest): object {
  return {
    requestId,
    requester,
    protocol,
    profile,
    commonName,
    names: subjectAltName.map(({ value }) => value),
  };
}

/** The event of a request that ended without a certificate although nobody refused it. */
export function failedEvent(
  request: JudgedRequest,
  errorCode: string,
  errorMessage: string,
): NewEvent {
  const data = { ...factsOf(request), errorCode, errorMessage };
  return { type: 'enrolment.failed', actor: 'service:ra', subject: request.requestId, data };
}
