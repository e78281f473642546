import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Authorization, Challenge } from '@gigvault/proto/ra/v1/authorization';
import { requesterOf } from '../account/requester.ts';
import type { Authorizations } from '../ports/registration-authority.ts';

/** The account's authorization. Errors: AUTHORIZATION_NOT_FOUND; UNAUTHORIZED when it is another account's (T38). */
export async function readAuthorization(
  authorizations: Authorizations,
  accountId: string,
  authorizationId: string,
): Promise<Authorization> {
  const [authorization] = await authorizations.get([authorizationId]);
  if (!authorization)
    throw new GigvaultError('AUTHORIZATION_NOT_FOUND', 'There is no such authorization.');
  if (authorization.requester !== requesterOf(accountId)) {
    throw new GigvaultError('UNAUTHORIZED', 'The authorization belongs to another account.');
  }
  return authorization;
}

/** Gives the authorization up (RFC 8555 §7.5.2). Errors: as readAuthorization. */
export async function deactivateAuthorization(
  authorizations: Authorizations,
  accountId: string,
  authorizationId: string,
): Promise<Authorization> {
  await readAuthorization(authorizations, accountId, authorizationId);
  return authorizations.deactivate(requesterOf(accountId), authorizationId);
}

/** One challenge of an authorization of the account. Errors: as readAuthorization; NOT_FOUND when it has no such challenge. */
export async function readChallenge(
  authorizations: Authorizations,
  accountId: string,
  id: { readonly authorizationId: string; readonly challengeId: string },
): Promise<Challenge> {
  return challengeOf(
    await readAuthorization(authorizations, accountId, id.authorizationId),
    id.challengeId,
  );
}

/**
 * Tells the RA that the client is ready for the challenge (RFC 8555 §7.5.1). A challenge that is not pending any more stays
 * as it is, so clients may repeat themselves.
 *
 * @param signer.thumbprint of the account's key: the key authorization is made of it here, never taken from the client.
 */
export async function respondToChallenge(
  authorizations: Authorizations,
  signer: { readonly accountId: string; readonly thumbprint: string },
  id: { readonly authorizationId: string; readonly challengeId: string },
): Promise<Challenge> {
  const challenge = await readChallenge(authorizations, signer.accountId, id);
  if (challenge.status !== 'pending') return challenge;
  const authorization = await authorizations.respond({
    ...id,
    requester: requesterOf(signer.accountId),
    keyAuthorization: `${challenge.token}.${signer.thumbprint}`,
  });
  return challengeOf(authorization, id.challengeId);
}

function challengeOf(authorization: Authorization, challengeId: string): Challenge {
  const challenge = authorization.challenges.find(
    (candidate) => candidate.challengeId === challengeId,
  );
  if (!challenge) throw new GigvaultError('NOT_FOUND', 'There is no such challenge.');
  return challenge;
}
