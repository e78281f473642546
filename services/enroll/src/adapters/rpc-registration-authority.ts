import type { AuthorizationService } from '@gigvault/proto/ra/v1/authorization';
import type { EnrolmentService } from '@gigvault/proto/ra/v1/enrolment';
import type { Client } from '@gigvault/rpc/call';
import type { Authorizations, Enrolment } from '../ports/registration-authority.ts';

/** Longer than signing takes when keys are slow: the client's wait is bounded elsewhere. */
const SUBMIT_DEADLINE = 30_000;

/** The RA's authorizations. */
export function rpcAuthorizations(client: Client<AuthorizationService>): Authorizations {
  return {
    create: async (requester, identifiers) =>
      (await client.createAuthorizations({ requester, identifiers: [...identifiers] }))
        .authorizations,
    get: async (authorizationIds) =>
      (await client.getAuthorizations({ authorizationIds: [...authorizationIds] })).authorizations,
    respond: (challenge) => client.respondToChallenge({ ...challenge }),
    deactivate: (requester, authorizationId) =>
      client.deactivateAuthorization({ requester, authorizationId }),
  };
}

/** The RA's enrolment requests. */
export function rpcEnrolment(client: Client<EnrolmentService>): Enrolment {
  return {
    async check(request) {
      await client.checkRequest(request);
    },
    submit: (request) => client.submitRequest(request, { deadline: SUBMIT_DEADLINE }),
  };
}
