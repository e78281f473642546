import type { Authorization } from '@gigvault/proto/ra/v1/authorization';
import type { EnrolmentRequest, SubmitRequestRequest } from '@gigvault/proto/ra/v1/enrolment';
import type { Identifier } from './orders.ts';

/** Control of identifiers: the RA owns it, this service only speaks of it. */
export interface Authorizations {
  /** One authorization for each identifier, in order; valid ones are reused. Errors: REJECTED_IDENTIFIER. */
  create(requester: string, identifiers: readonly Identifier[]): Promise<readonly Authorization[]>;
  /** 1 to 100. Errors: AUTHORIZATION_NOT_FOUND when any is missing. */
  get(authorizationIds: readonly string[]): Promise<readonly Authorization[]>;
  /** Starts validation. Errors: AUTHORIZATION_NOT_FOUND, FORBIDDEN, BAD_KEY_AUTHORIZATION. */
  respond(challenge: {
    readonly authorizationId: string;
    readonly challengeId: string;
    readonly requester: string;
    readonly keyAuthorization: string;
  }): Promise<Authorization>;
  deactivate(requester: string, authorizationId: string): Promise<Authorization>;
}

/** Where enrolment requests go. */
export interface Enrolment {
  /**
   * Refuses what `submit` would refuse now, and keeps nothing. Errors: as submit, and POLICY_DENIED, REJECTED_IDENTIFIER,
   * INVALID_ARGUMENT.
   */
  check(request: SubmitRequestRequest): Promise<void>;
  /**
   * Idempotent on the request's id; waits for the certificate as long as it can be had at once.
   * Errors: BAD_CSR, BAD_PUBLIC_KEY, UNKNOWN_PROFILE, PROFILE_CHANGED, UNAUTHORIZED_IDENTIFIER, and those of the way there.
   */
  submit(request: SubmitRequestRequest): Promise<EnrolmentRequest>;
}
