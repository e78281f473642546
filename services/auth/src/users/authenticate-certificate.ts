import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { FailureLimiter } from '../credentials/failure-limiter.ts';
import type { FailureLog } from '../credentials/failure-log.ts';
import type { FailureJournal } from '../ports/failure-journal.ts';
import type { Revocations } from '../ports/revocations.ts';
import type { User, UserStore } from '../ports/user-store.ts';

/** What recognising certificates needs. */
export interface CertificateDeps {
  readonly users: Pick<UserStore, 'find'>;
  readonly revocations: Revocations;
  readonly limiter: FailureLimiter;
  readonly failures: FailureLog;
  readonly journal: FailureJournal;
}

/** A certificate that a service has verified. */
export interface ClientCertificate {
  /** Of the user that it names. */
  readonly name: string;
  /** Lower-case hex. */
  readonly serialNumber: string;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly clientIp: string;
  /** The service that asks. */
  readonly service: string;
}

/**
 * The user that a client certificate names. The event is durable before the answer. Throws UNAUTHENTICATED for nobody who is active and for a certificate of
 * ours that is revoked, the same for both; RATE_LIMITED; UNAVAILABLE while the CA cannot say whether it is.
 */
export async function authenticateCertificate(
  deps: CertificateDeps,
  certificate: ClientCertificate,
): Promise<User> {
  const { name, serialNumber, sha256, clientIp, service } = certificate;
  const user = await deps.limiter.attempt(clientIp, async () => {
    const found = await deps.users.find(name);
    // The store finds by id as well; a certificate names names.
    const isUser = found?.status === 'active' && found.name === name;
    if (isUser && !(await deps.revocations.isRevoked(serialNumber))) return found;
    deps.failures.record('certificate', clientIp);
    throw new GigvaultError('UNAUTHENTICATED', 'The client certificate is not accepted.', {
      details: { reason: 'certificate' },
    });
  });
  const event = {
    type: 'certificate.used',
    actor: `user:${user.userId}`,
    subject: serialNumber,
    data: { sha256, service, roles: user.roles, clientIp },
  } as const;
  await durableStep('auth.certificate', () => deps.journal.append([event]));
  return user;
}
