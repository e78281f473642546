import type { Principal } from '@gigvault/access/permissions';
import { isErrorCode } from '@gigvault/errors/error-table';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { requestIdOf } from '@gigvault/http/idempotency';
import { page } from '@gigvault/http/paging';
import { type HttpReply, type HttpRequest, type HttpRoute, operation } from '@gigvault/http/route';
import { fromPem, toPem } from '@gigvault/x509/pem';
import type { z } from 'zod';
import { decideRequest } from '../approval/decide-request.ts';
import { listRequests, readRequest } from '../enrolment/read-requests.ts';
import type { StoredRequest } from '../enrolment/stored-request.ts';
import { submitRequest } from '../enrolment/submit-request.ts';
import type { EnrolmentApi } from './grpc.ts';
import { ERRORS, EXAMPLES } from './http-examples.ts';
import {
  DECISION,
  LIST_QUERY,
  LIST_REPLY,
  REQUEST_PARAMS,
  REQUEST_REPLY,
  type RequestReply,
  SUBMISSION,
} from './http-schemas.ts';

type Submission = HttpRequest<never, never, z.infer<typeof SUBMISSION>>;

/** The REST operations on enrolment requests. */
export function enrolmentRoutes(deps: EnrolmentApi): HttpRoute[] {
  return [...submitOperations(deps), ...readOperations(deps), ...decideOperations(deps)];
}

function submitOperations(deps: EnrolmentApi): HttpRoute[] {
  const common = {
    method: 'POST',
    body: SUBMISSION,
    replies: { 201: REQUEST_REPLY, 202: REQUEST_REPLY },
    examples: EXAMPLES.submit,
    errors: ERRORS.submit,
    location: 'The request, as `GET /csrs/{requestId}` shows it',
    idempotencyKey:
      'A repetition by the same principal goes on with the first request, on either path, and is answered as it stands; with another certification request it is refused (409).',
  } as const;
  const handle = (request: Submission) => submit(deps, request);
  return [
    operation({
      ...common,
      operationId: 'createCertificate',
      path: '/certificates',
      tag: 'Certificates',
      summary: 'Issue a certificate for a certification request',
      description: 'At once when policy allows it (201), after approval otherwise (202).',
      permission: 'certificates:create',
      handle,
    }),
    operation({
      ...common,
      operationId: 'submitCsr',
      path: '/csrs',
      tag: 'Requests',
      summary: 'Submit a certification request',
      description: 'The same as `POST /certificates`, for those who may only submit.',
      permission: 'csrs:submit',
      handle,
    }),
  ];
}

function readOperations({ requests }: EnrolmentApi): HttpRoute[] {
  return [
    operation({
      operationId: 'listCsrs',
      method: 'GET',
      path: '/csrs',
      tag: 'Requests',
      summary: 'List enrolment requests, newest first',
      description: 'Without the permission `csrs:read-all`: your own.',
      permission: 'csrs:read',
      query: LIST_QUERY,
      replies: { 200: LIST_REPLY },
      examples: EXAMPLES.listCsrs,
      async handle({ query, principal }) {
        const requester = seesAll(principal) ? '' : actorOf(principal);
        const { items, nextCursor } = await listRequests(requests, {
          ...query,
          status: query.status ?? '',
          requester,
        });
        return { status: 200, body: page(items.map(toReply), nextCursor) };
      },
    }),
    operation({
      operationId: 'getCsr',
      method: 'GET',
      path: '/csrs/:requestId',
      tag: 'Requests',
      summary: 'Get an enrolment request with its decision, votes and certificate',
      description: 'Without the permission `csrs:read-all`: one of your own.',
      permission: 'csrs:read',
      params: REQUEST_PARAMS,
      replies: { 200: REQUEST_REPLY },
      examples: EXAMPLES.getCsr,
      errors: ERRORS.getCsr,
      async handle({ params, principal }) {
        const found = await readRequest(requests, params.requestId);
        // What is somebody else's looks like what does not exist.
        if (!seesAll(principal) && found.requester !== actorOf(principal)) {
          throw new GigvaultError(
            'REQUEST_NOT_FOUND',
            `There is no enrolment request "${params.requestId}".`,
          );
        }
        return { status: 200, body: toReply(found) };
      },
    }),
  ];
}

function decideOperations(deps: EnrolmentApi): HttpRoute[] {
  return (['approve', 'reject'] as const).map((verb) =>
    operation({
      operationId: `${verb}Csr`,
      method: 'POST',
      path: `/csrs/:requestId/${verb}`,
      tag: 'Requests',
      summary:
        verb === 'approve'
          ? 'Approve a pending request; the last approval needed issues it'
          : 'Reject a pending request',
      permission: 'csrs:decide',
      params: REQUEST_PARAMS,
      body: DECISION,
      replies: { 200: REQUEST_REPLY },
      examples: EXAMPLES[verb],
      errors: ERRORS.decide,
      async handle({ params: { requestId }, body: { comment }, principal }) {
        const decision = {
          requestId,
          actor: actorOf(principal),
          actorName: principal?.name,
          approve: verb === 'approve',
          comment,
        };
        return { status: 200, body: toReply(await decideRequest(deps, decision)) };
      },
    }),
  );
}

async function submit(deps: EnrolmentApi, request: Submission): Promise<HttpReply> {
  const { body, principal } = request;
  const requester = actorOf(principal);
  const stored = await submitRequest(deps, {
    requestId: requestIdOf(requester, 'enrolment', request),
    protocol: 'rest',
    requester,
    requesterName: principal?.name,
    profile: body.profile,
    profileHash: '',
    certificationRequest: certificationRequestOf(body.certificationRequest),
    authorizationIds: [],
    subjectAltName: [],
    notBefore: 0,
    notAfter: body.validity === undefined ? 0 : deps.clock.now() + body.validity,
    reason: body.reason,
    roles: [...(principal?.roles ?? [])],
    tenantId: principal?.tenantId ?? '',
  }).catch(inTermsOfTheKey);
  return replyOf(stored);
}

/** A request id is taken only where an Idempotency-Key made it. */
function inTermsOfTheKey(error: unknown): never {
  if (error instanceof GigvaultError && error.code === 'ALREADY_EXISTS')
    throw new GigvaultError(error.code, 'This Idempotency-Key was used for another request.');
  throw error;
}

function certificationRequestOf(pem: string): Buffer {
  const [der, ...more] = fromPem(pem, 'CERTIFICATE REQUEST');
  if (der && more.length === 0) return der;
  throw new GigvaultError('INVALID_ARGUMENT', 'Send one certification request at a time.', {
    problems: [
      { pointer: '/certificationRequest', message: 'holds more than one certification request' },
    ],
  });
}

function replyOf(request: StoredRequest): HttpReply {
  const { requestId, status } = request;
  if (status === 'denied') throw policyDenied(request);
  if (status === 'failed') {
    const code = isErrorCode(request.errorCode) ? request.errorCode : 'INTERNAL';
    throw new GigvaultError(code, request.errorMessage, { details: { request_id: requestId } });
  }
  if (status === 'rejected')
    throw new GigvaultError('REQUEST_NOT_PENDING', 'The request was rejected.', {
      details: { request_id: requestId },
    });
  const location = `/service/api/v1/csrs/${requestId}`;
  return { status: status === 'issued' ? 201 : 202, headers: { location }, body: toReply(request) };
}

function policyDenied({
  requestId,
  decision: { policy, policyHash, rules },
}: StoredRequest): GigvaultError {
  const denials = rules.filter(({ outcome }) => outcome === 'deny');
  const message = `policy "${policy}" refused this certificate: ${denials.map((rule) => rule.message).join('; ')}`;
  return new GigvaultError('POLICY_DENIED', message, {
    details: { policy, policy_hash: policyHash, request_id: requestId },
    problems: denials.map((rule) => ({ pointer: '/certificationRequest', message: rule.message })),
  });
}

function seesAll(principal: Principal | undefined): boolean {
  return principal?.permissions.has('csrs:read-all') ?? false;
}

function actorOf(principal: Principal | undefined): string {
  if (principal) return principal.actor;
  throw new GigvaultError('UNAUTHENTICATED', 'Sign in first.');
}

function toReply(request: StoredRequest): RequestReply {
  const {
    requestId,
    status,
    protocol,
    requester,
    requesterName,
    profile,
    commonName,
    reason,
    decision,
    approvalsNeeded,
    votes,
  } = request;
  return {
    requestId,
    status,
    protocol,
    requester,
    ...(requesterName === undefined ? {} : { requesterName }),
    profile,
    commonName,
    names: request.subjectAltName.map(({ value }) => value),
    createdAt: new Date(request.createdAt).toISOString(),
    reason,
    decision,
    approvalsNeeded,
    votes: votes.map((vote) => ({ ...vote, at: new Date(vote.at).toISOString() })),
    certificationRequest: toPem('CERTIFICATE REQUEST', request.certificationRequest),
    ...(status === 'issued' ? issuedParts(request) : {}),
    ...(status === 'failed'
      ? { error: { code: request.errorCode, message: request.errorMessage } }
      : {}),
  };
}

function issuedParts({ serialNumber, issuerId, certificate, chain }: StoredRequest) {
  return {
    serialNumber,
    issuerId,
    certificate: toPem('CERTIFICATE', certificate),
    chain: chain.map((der) => toPem('CERTIFICATE', der)).join(''),
  };
}
