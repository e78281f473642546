import { createHash, randomUUID } from 'node:crypto';
import type { Principal } from '@gigvault/access/permissions';
import { isErrorCode } from '@gigvault/errors/error-table';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { type HttpReply, type HttpRequest, type HttpRoute, operation } from '@gigvault/http/route';
import { fromPem, toPem } from '@gigvault/x509/pem';
import type { z } from 'zod';
import { decideRequest } from '../approval/decide-request.ts';
import { listRequests, readRequest } from '../enrolment/read-requests.ts';
import type { StoredRequest } from '../enrolment/stored-request.ts';
import { submitRequest } from '../enrolment/submit-request.ts';
import type { EnrolmentApi } from './grpc.ts';
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
  } as const;
  const handle = (request: Submission) => submit(deps, request);
  return [
    operation({
      ...common,
      operationId: 'createCertificate',
      path: '/certificates',
      tag: 'certificates',
      summary:
        'Issue a certificate for a certification request: at once when policy allows (201), after approval otherwise (202)',
      permission: 'certificates:create',
      handle,
    }),
    operation({
      ...common,
      operationId: 'submitCsr',
      path: '/csrs',
      tag: 'csrs',
      summary: 'Submit a certification request',
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
      tag: 'csrs',
      summary: 'List enrolment requests, newest first; requesters see their own',
      permission: 'csrs:read',
      query: LIST_QUERY,
      replies: { 200: LIST_REPLY },
      async handle({ query, principal }) {
        const requester = seesAll(principal) ? '' : actorOf(principal);
        const { items, nextCursor } = await listRequests(requests, {
          ...query,
          status: query.status ?? '',
          requester,
        });
        return { status: 200, body: { items: items.map(toReply), nextCursor } };
      },
    }),
    operation({
      operationId: 'getCsr',
      method: 'GET',
      path: '/csrs/:requestId',
      tag: 'csrs',
      summary: 'One enrolment request with its decision, votes and certificate',
      permission: 'csrs:read',
      params: REQUEST_PARAMS,
      replies: { 200: REQUEST_REPLY },
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
      tag: 'csrs',
      summary:
        verb === 'approve'
          ? 'Approve a pending request; the last approval needed issues it'
          : 'Reject a pending request',
      permission: 'csrs:decide',
      params: REQUEST_PARAMS,
      body: DECISION,
      replies: { 200: REQUEST_REPLY },
      async handle({ params: { requestId }, body: { comment }, principal }) {
        const decision = {
          requestId,
          actor: actorOf(principal),
          approve: verb === 'approve',
          comment,
        };
        return { status: 200, body: toReply(await decideRequest(deps, decision)) };
      },
    }),
  );
}

async function submit(
  deps: EnrolmentApi,
  { body, headers, principal }: Submission,
): Promise<HttpReply> {
  const requester = actorOf(principal);
  const stored = await submitRequest(deps, {
    requestId: requestIdOf(requester, headers['idempotency-key']),
    protocol: 'rest',
    requester,
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
  });
  return replyOf(stored);
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

/** The same key of the same principal means the same request; without a key every call is a new one. */
function requestIdOf(requester: string, key: string | string[] | undefined): string {
  if (key === undefined) return randomUUID();
  if (typeof key !== 'string' || key === '' || key.length > 255) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      'Idempotency-Key must be one text of 1 to 255 characters.',
    );
  }
  const hash = createHash('sha256').update(`${requester}\n${key}`).digest();
  // RFC 9562 §5.8: version 8, variant 10.
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x80;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  return hash.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
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

/** Whoever decides or looks after others sees every request. */
function seesAll(principal: Principal | undefined): boolean {
  return principal?.roles.some((role) => role !== 'requester') ?? false;
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
