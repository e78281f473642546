import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type {
  Authorization,
  CreateAuthorizationsRequest,
  CreateAuthorizationsResponse,
  DeactivateAuthorizationRequest,
  GetAuthorizationsRequest,
  GetAuthorizationsResponse,
  RespondToChallengeRequest,
} from '@gigvault/proto/ra/v1/authorization';
import type {
  CheckRequestResponse,
  DecideRequestRequest,
  EnrolmentRequest,
  GetRequestRequest,
  ListRequestsRequest,
  ListRequestsResponse,
  SubmitRequestRequest,
} from '@gigvault/proto/ra/v1/enrolment';
import type { CallContext } from '@gigvault/rpc/call';
import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import { type DecideDeps, decideRequest } from '../approval/decide-request.ts';
import {
  type CreateAuthorizationsDeps,
  createAuthorizations,
} from '../authorization/create-authorizations.ts';
import { deactivateAuthorization } from '../authorization/deactivate-authorization.ts';
import { readAuthorizations } from '../authorization/read-authorizations.ts';
import { checkRequest } from '../enrolment/check-request.ts';
import { listRequests, readRequest } from '../enrolment/read-requests.ts';
import { toEnrolmentRequest } from '../enrolment/stored-request.ts';
import { type SubmitDeps, submitRequest } from '../enrolment/submit-request.ts';
import { type RespondDeps, respondToChallenge } from '../validation/respond-to-challenge.ts';

/** Provider token of AuthorizationApi. */
export const AUTHORIZATION = Symbol('AUTHORIZATION');
/** Provider token of EnrolmentApi. */
export const ENROLMENT = Symbol('ENROLMENT');

/** What AuthorizationRpc needs. */
export type AuthorizationApi = CreateAuthorizationsDeps & RespondDeps;
/** What EnrolmentRpc and the REST operations need. */
export type EnrolmentApi = SubmitDeps & DecideDeps;

/** gigvault.ra.v1.AuthorizationService. */
@Controller()
export class AuthorizationRpc {
  constructor(@Inject(AUTHORIZATION) private readonly deps: AuthorizationApi) {}

  @GrpcMethod('AuthorizationService', 'CreateAuthorizations')
  async createAuthorizations(
    request: CreateAuthorizationsRequest,
  ): Promise<CreateAuthorizationsResponse> {
    return { authorizations: await createAuthorizations(this.deps, request) };
  }

  @GrpcMethod('AuthorizationService', 'GetAuthorizations')
  async getAuthorizations(request: GetAuthorizationsRequest): Promise<GetAuthorizationsResponse> {
    return { authorizations: await readAuthorizations(this.deps, request.authorizationIds) };
  }

  @GrpcMethod('AuthorizationService', 'RespondToChallenge')
  respondToChallenge(request: RespondToChallengeRequest): Promise<Authorization> {
    return respondToChallenge(this.deps, request);
  }

  @GrpcMethod('AuthorizationService', 'DeactivateAuthorization')
  deactivateAuthorization(request: DeactivateAuthorizationRequest): Promise<Authorization> {
    return deactivateAuthorization(this.deps, request);
  }
}

/** gigvault.ra.v1.EnrolmentService. */
@Controller()
export class EnrolmentRpc {
  constructor(@Inject(ENROLMENT) private readonly deps: EnrolmentApi) {}

  @GrpcMethod('EnrolmentService', 'SubmitRequest')
  async submitRequest(
    request: SubmitRequestRequest,
    _metadata: unknown,
    call: CallContext,
  ): Promise<EnrolmentRequest> {
    if (call.peer === 'enroll') mustBeAcme(request);
    return toEnrolmentRequest(await submitRequest(this.deps, request));
  }

  @GrpcMethod('EnrolmentService', 'CheckRequest')
  async checkRequest(
    request: SubmitRequestRequest,
    _metadata: unknown,
    call: CallContext,
  ): Promise<CheckRequestResponse> {
    if (call.peer === 'enroll') mustBeAcme(request);
    await checkRequest(this.deps, request);
    return {};
  }

  @GrpcMethod('EnrolmentService', 'GetRequest')
  async getRequest({ requestId }: GetRequestRequest): Promise<EnrolmentRequest> {
    return toEnrolmentRequest(await readRequest(this.deps.requests, requestId));
  }

  @GrpcMethod('EnrolmentService', 'ListRequests')
  async listRequests(request: ListRequestsRequest): Promise<ListRequestsResponse> {
    const { items, nextCursor } = await listRequests(this.deps.requests, request);
    return { items: items.map(toEnrolmentRequest), nextCursor };
  }

  @GrpcMethod('EnrolmentService', 'DecideRequest')
  async decideRequest(request: DecideRequestRequest): Promise<EnrolmentRequest> {
    return toEnrolmentRequest(await decideRequest(this.deps, request));
  }
}

/** The edge speaks for ACME accounts only: taken over, it must not pass itself off as an operator whom policy trusts. */
function mustBeAcme({ protocol, requester, roles }: SubmitRequestRequest): void {
  if (protocol === 'acme' && requester.startsWith('acme:') && roles.length === 0) return;
  throw new GigvaultError('FORBIDDEN', 'enroll speaks for ACME accounts only.');
}
