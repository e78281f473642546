import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type {
  Authorization,
  DeactivateAuthorizationRequest,
} from '@gigvault/proto/ra/v1/authorization';
import { durableStep } from '@gigvault/telemetry/durable-step';
import { type ReadAuthorizationsDeps, readOwnAuthorization } from './read-authorizations.ts';

/**
 * Gives an authorization up (RFC 8555 §7.5.2). Repeating it changes nothing.
 * Errors: AUTHORIZATION_NOT_FOUND, FORBIDDEN, INVALID_ARGUMENT when it is neither pending nor valid.
 */
export async function deactivateAuthorization(
  deps: ReadAuthorizationsDeps,
  { authorizationId, requester }: DeactivateAuthorizationRequest,
): Promise<Authorization> {
  const before = await readOwnAuthorization(deps, authorizationId, requester);
  if (before.status === 'deactivated') return before;
  const now = deps.clock.now();
  await durableStep('ra.deactivation', () =>
    deps.authorizations.deactivate(authorizationId, requester, now),
  );
  const after = await readOwnAuthorization(deps, authorizationId, requester);
  if (after.status === 'deactivated') return after;
  throw new GigvaultError(
    'INVALID_ARGUMENT',
    `An authorization that is ${after.status} cannot be deactivated.`,
  );
}
