import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import type { HttpReply, HttpRequest, ProtocolRoute } from '@gigvault/http/route';
import {
  type SignedBy,
  type Signer,
  type VerifyRequestDeps,
  verifyRequest,
} from '../jws/verify-request.ts';
import type { Account } from '../ports/accounts.ts';
import type { AcmeUrls } from './acme-urls.ts';
import { problemDocument } from './problem-document.ts';

/** Largest request: a certification request with 100 names fits (T22). */
const BODY_LIMIT = 50_000;

/** Every id that the RA or this service makes. */
const OPAQUE_ID = /^[\w-]{1,64}$/;

/** What every route needs. */
export interface AcmeRouteDeps extends VerifyRequestDeps {
  readonly urls: AcmeUrls;
  /** As `https://localhost:8443`. */
  readonly publicUrl: string;
}

/** A request whose signature, url and nonce were good. */
export interface AcmeRequest<S = Signer> {
  readonly signer: S;
  readonly payload: Buffer;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  /** As it was signed. */
  readonly url: string;
  readonly clientIp: string;
}

/** Makes the routes of ACME resources: they differ only in path, signer and handler. */
export interface AcmeRoutes {
  /** Read without a signature: the directory and new-nonce. */
  read(method: 'GET' | 'HEAD', path: string, handle: () => HttpReply): ProtocolRoute;
  /** Signed by a key, or by a key or an account. */
  signed(
    path: string,
    signedBy: Exclude<SignedBy, 'kid'>,
    handle: (request: AcmeRequest) => Promise<HttpReply>,
  ): ProtocolRoute;
  /** Signed by an account. */
  account(
    path: string,
    handle: (request: AcmeRequest<Account>) => Promise<HttpReply>,
  ): ProtocolRoute;
}

/** AcmeRoutes below `/acme`. */
export function acmeRoutes(deps: AcmeRouteDeps): AcmeRoutes {
  const route = (
    method: ProtocolRoute['method'],
    path: string,
    handle: ProtocolRoute['handle'],
  ): ProtocolRoute => ({
    kind: 'protocol',
    listener: 'public',
    method,
    path: `/acme${path}`,
    bodyLimit: BODY_LIMIT,
    errorReply: (error) => withHeaders(deps, errorReply(error)),
    handle,
  });
  const signed: AcmeRoutes['signed'] = (path, signedBy, handle) =>
    route('POST', path, async (request) =>
      withHeaders(deps, await handle(await verify(deps, request, signedBy))),
    );
  return {
    read: (method, path, handle) => route(method, path, async () => handle()),
    signed,
    account: (path, handle) =>
      route('POST', path, async (request) => {
        const verified = await verify(deps, request, 'kid');
        if (verified.signer.kind !== 'account')
          throw new GigvaultError('INVALID_ARGUMENT', 'Sign with "kid".');
        return withHeaders(deps, await handle({ ...verified, signer: verified.signer.account }));
      }),
  };
}

/** An error as an ACME reply. */
export function errorReply(error: unknown): HttpReply {
  const { code, retryAfter, details } = asGigvaultError(error);
  const problem = problemDocument(error);
  return {
    status: problem.status,
    headers: {
      'content-type': 'application/problem+json',
      ...(retryAfter === undefined || code === 'BAD_NONCE'
        ? {}
        : { 'retry-after': String(Math.ceil(retryAfter)) }),
      ...(code === 'METHOD_NOT_ALLOWED' ? { allow: String(details['allow'] ?? 'POST') } : {}),
    },
    body: Buffer.from(JSON.stringify(problem)),
  };
}

async function verify(
  deps: AcmeRouteDeps,
  request: HttpRequest<Record<string, string>, Record<string, string>, Buffer>,
  signedBy: SignedBy,
): Promise<AcmeRequest> {
  const contentType = String(request.headers['content-type'] ?? '');
  if (contentType.split(';', 1)[0]!.trim().toLowerCase() !== 'application/jose+json') {
    throw new GigvaultError(
      'UNSUPPORTED_MEDIA_TYPE',
      'Requests are of type application/jose+json.',
    );
  }
  if (!Object.values(request.params).every((id) => OPAQUE_ID.test(id))) {
    throw new GigvaultError('NOT_FOUND', 'There is no such resource.');
  }
  // Scheme and host are ours to know, not the client's to say: behind a proxy they differ.
  const url = deps.publicUrl + request.url.replace(/^https?:\/\/[^/]*/i, '');
  const verified = await verifyRequest(deps, { body: request.body, url, signedBy });
  const { params, query, clientIp } = request;
  return { ...verified, params, query, url, clientIp };
}

/** What every reply to a POST carries (RFC 8555 §6.5, §7.1). */
function withHeaders(deps: AcmeRouteDeps, reply: HttpReply): HttpReply {
  const links = reply.headers?.['link'] ?? [];
  return {
    ...reply,
    headers: {
      ...reply.headers,
      link: [`<${deps.urls.directory}>;rel="index"`, ...(Array.isArray(links) ? links : [links])],
      'replay-nonce': deps.nonces.issue(),
      'cache-control': 'no-store',
    },
  };
}
