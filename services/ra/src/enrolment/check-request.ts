import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Decision, SubmitRequestRequest } from '@gigvault/proto/ra/v1/enrolment';
import { checkOrigin, type JudgeDeps, judgeRequest } from './judge-request.ts';
import { issuanceOf } from './stored-request.ts';

/**
 * Refuses a request that submitting would refuse, here, by policy or in the CA, and keeps nothing: so that a protocol can
 * refuse it while its client can still send another. Submitting checks everything again.
 * Errors: those of judgeRequest; POLICY_DENIED with the rules' reasons; those of the RPC CheckIssuance.
 */
export async function checkRequest(deps: JudgeDeps, request: SubmitRequestRequest): Promise<void> {
  checkOrigin(request);
  const judged = await judgeRequest(deps, request);
  if (judged.status === 'denied') throw denial(judged.decision);
  await deps.ca.check(issuanceOf(judged));
}

function denial({ rules }: Decision): GigvaultError {
  const reasons = rules.filter(({ outcome }) => outcome === 'deny').map(({ message }) => message);
  return new GigvaultError(
    'POLICY_DENIED',
    reasons.join('; ') || 'Policy does not allow this certificate.',
  );
}
