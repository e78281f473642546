import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Authorization, RespondToChallengeRequest } from '@gigvault/proto/ra/v1/authorization';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { ClockGuard } from '@gigvault/time/clock-guard';
import {
  type ReadAuthorizationsDeps,
  readOwnAuthorization,
} from '../authorization/read-authorizations.ts';

/** base64url of 32 octets: a SHA-256 JWK thumbprint (RFC 7638). */
const THUMBPRINT = /^[A-Za-z0-9_-]{43}$/;

/** What starting a validation needs. */
export interface RespondDeps extends ReadAuthorizationsDeps {
  /** The validation is due at once by what it believes. */
  readonly clockGuard: ClockGuard;
  /** Tells the validator that there is work; resolves when it has tried the challenge once, or when that takes long. */
  attempted(challengeId: string): Promise<void>;
}

/**
 * Hands a challenge to the validator and waits a moment for it: a server that answers at once is told of at once, and its client
 * need not ask again. Otherwise the authorization moves to valid or invalid later. A challenge that is not pending any more is
 * left as it is, so that repeating the call is harmless.
 * Errors: AUTHORIZATION_NOT_FOUND, FORBIDDEN, BAD_KEY_AUTHORIZATION.
 */
export async function respondToChallenge(
  deps: RespondDeps,
  request: RespondToChallengeRequest,
): Promise<Authorization> {
  const { authorizationId, challengeId, requester, keyAuthorization } = request;
  const authorization = await readOwnAuthorization(deps, authorizationId, requester);
  const challenge = authorization.challenges.find((one) => one.challengeId === challengeId);
  if (!challenge)
    throw new GigvaultError('AUTHORIZATION_NOT_FOUND', 'The authorization has no such challenge.');
  const [token, thumbprint = '', ...rest] = keyAuthorization.split('.');
  if (token !== challenge.token || rest.length > 0 || !THUMBPRINT.test(thumbprint)) {
    throw new GigvaultError(
      'BAD_KEY_AUTHORIZATION',
      'The key authorization is not <token>.<thumbprint> of this challenge.',
    );
  }
  if (authorization.status !== 'pending' || challenge.status !== 'pending') return authorization;
  const now = deps.clockGuard.believed();
  const started = await durableStep('ra.challenge', () =>
    deps.authorizations.startValidation(challengeId, keyAuthorization, now),
  );
  if (started) await deps.attempted(challengeId);
  return readOwnAuthorization(deps, authorizationId, requester);
}
