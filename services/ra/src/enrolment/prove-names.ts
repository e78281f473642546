import { isUuid } from '@gigvault/ids/uuid';
import type { Clock } from '@gigvault/time/clock';
import type { ProofSource } from '../ports/authorization-store.ts';
import { checkProofs } from './check-proofs.ts';
import type { JudgedRequest } from './stored-request.ts';

/** What proving needs. */
export interface ProveDeps {
  readonly proofs: ProofSource;
  readonly clock: Clock;
}

/**
 * Makes sure that the requester controls every name now, where the protocol needs proofs: `acme`. The requests of others are
 * policy's to judge.
 * Errors: UNAUTHORIZED_IDENTIFIER.
 */
export async function proveNames(
  { proofs, clock }: ProveDeps,
  request: Pick<JudgedRequest, 'protocol' | 'requester' | 'authorizationIds' | 'subjectAltName'>,
): Promise<void> {
  if (request.protocol !== 'acme') return;
  const ids = [...new Set(request.authorizationIds)].filter((id) => isUuid(id));
  const found = await proofs.proofs(ids, request.requester, clock.now());
  checkProofs(request.subjectAltName, found);
}
