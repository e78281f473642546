import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { PeerName } from '@gigvault/rpc/service-name';

const OF_ENROLL = /^(acme|certificate-key):./;

/**
 * A caller names whom it has authorised, and the name goes into the audit log: enroll knows ACME accounts and certificates' keys, and must
 * not put a person's name to what it does. Errors: FORBIDDEN.
 */
export function requireOwnActor(actor: string, caller: PeerName): void {
  if (caller !== 'enroll' || OF_ENROLL.test(actor)) return;
  throw new GigvaultError(
    'FORBIDDEN',
    'enroll revokes for ACME accounts and certificate keys only.',
  );
}
