import type { HttpReply, HttpRoute } from '@gigvault/http/route';
import type { Authorization, Challenge } from '@gigvault/proto/ra/v1/authorization';
import {
  deactivateAuthorization,
  readAuthorization,
  readChallenge,
  respondToChallenge,
} from '../authorization/respond-to-challenge.ts';
import type { Account } from '../ports/accounts.ts';
import type { Authorizations } from '../ports/registration-authority.ts';
import type { AcmeRequest, AcmeRouteDeps, AcmeRoutes } from './acme-route.ts';
import { authorizationDocument, challengeDocument } from './documents.ts';
import { authorizationPayload, challengePayload, readPayload } from './payloads.ts';

interface Deps extends AcmeRouteDeps {
  readonly authorizations: Authorizations;
}

/** Seconds: a validation that goes well takes less, and clients wait as long as they are told. */
const RETRY_AFTER = '1';

/** Authorizations and challenges (RFC 8555 §7.5). */
export function authorizationRoutes(deps: Deps, routes: AcmeRoutes): HttpRoute[] {
  return [
    routes.account('/authz/:authorizationId', (request) => authorization(deps, request)),
    routes.account('/chall/:authorizationId/:challengeId', (request) => challenge(deps, request)),
  ];
}

async function authorization(
  deps: Deps,
  { signer, payload, params }: AcmeRequest<Account>,
): Promise<HttpReply> {
  const id = params['authorizationId']!;
  if (payload.length === 0) {
    return authorizationReply(
      deps,
      await readAuthorization(deps.authorizations, signer.accountId, id),
    );
  }
  readPayload(payload, authorizationPayload);
  return authorizationReply(
    deps,
    await deactivateAuthorization(deps.authorizations, signer.accountId, id),
  );
}

async function challenge(
  deps: Deps,
  { signer, payload, params }: AcmeRequest<Account>,
): Promise<HttpReply> {
  const id = { authorizationId: params['authorizationId']!, challengeId: params['challengeId']! };
  if (payload.length === 0) {
    return challengeReply(
      deps,
      id.authorizationId,
      await readChallenge(deps.authorizations, signer.accountId, id),
    );
  }
  readPayload(payload, challengePayload);
  const by = { accountId: signer.accountId, thumbprint: signer.jwkThumbprint };
  return challengeReply(
    deps,
    id.authorizationId,
    await respondToChallenge(deps.authorizations, by, id),
  );
}

function authorizationReply(deps: Deps, authorization: Authorization): HttpReply {
  const validating =
    authorization.status === 'pending' && authorization.challenges.some(isProcessing);
  return {
    status: 200,
    headers: validating ? { 'retry-after': RETRY_AFTER } : {},
    body: authorizationDocument(deps.urls, authorization),
  };
}

function challengeReply(deps: Deps, authorizationId: string, challenge: Challenge): HttpReply {
  return {
    status: 200,
    headers: {
      location: deps.urls.challenge(authorizationId, challenge.challengeId),
      link: `<${deps.urls.authorization(authorizationId)}>;rel="up"`,
      ...(isProcessing(challenge) ? { 'retry-after': RETRY_AFTER } : {}),
    },
    body: challengeDocument(deps.urls, authorizationId, challenge),
  };
}

function isProcessing(challenge: Challenge): boolean {
  return challenge.status === 'processing';
}
