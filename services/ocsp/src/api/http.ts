import { hash } from 'node:crypto';
import { asGigvaultError } from '@gigvault/errors/gigvault-error';
import type { ErrorReply, HttpReply, HttpRequest, HttpRoute } from '@gigvault/http/route';
import type { Metrics } from '@gigvault/telemetry/metrics';
import type { Clock } from '@gigvault/time/clock';
import { type OcspReply, refuse } from '../status/answer-request.ts';
import type { SignedResponse } from '../status/response-cache.ts';

/** Octets of a request; 100 CertIDs with SHA-256 take about 9,000. */
const BODY_LIMIT = 10_000;

/** What the routes need. */
export interface OcspHttpDeps {
  /** Answers one OCSPRequest (DER), at once where the answer is kept; never throws or rejects. */
  answer(der: Buffer): OcspReply | Promise<OcspReply>;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** The longest that HTTP caches may keep an answer, ms. */
  readonly httpMaxAge: number;
}

/**
 * OCSP over HTTP: RFC 6960 appendix A, with the caching of RFC 5019 §6 on GET.
 *
 * A request that cannot be read is answered with HTTP 200 and `malformedRequest`, as every refusal that OCSP has a word for: clients read
 * the body, and many throw it away with any other status. HTTP's own refusals (413, 415) are for what is not an OCSP request at all.
 */
export function ocspRoutes(deps: OcspHttpDeps): HttpRoute[] {
  const measured = measure(deps);
  return [
    {
      kind: 'protocol',
      listener: 'status',
      method: 'POST',
      path: '/ocsp',
      bodyLimit: BODY_LIMIT,
      errorReply,
      direct: true,
      handle: async (request) => {
        if (mediaType(request) !== 'application/ocsp-request') {
          return text(415, 'Send an OCSPRequest with Content-Type: application/ocsp-request.');
        }
        return toReply(await measured(request.body), NO_STORE);
      },
    },
    {
      kind: 'protocol',
      listener: 'status',
      method: 'GET',
      path: '/ocsp/*',
      bodyLimit: 1,
      errorReply,
      direct: true,
      handle(request) {
        const der = fromPath(request.params['*'] ?? '');
        return once(der ? measured(der) : refuse('malformedRequest'), (reply) =>
          reply.cacheable ? cached(deps, request, reply.cacheable) : toReply(reply, NO_STORE),
        );
      },
    },
  ];
}

const NO_STORE = { 'cache-control': 'no-store' };

const errorReply: ErrorReply = (error) => {
  const { row, message } = asGigvaultError(error);
  return text(row.http, message);
};

function measure(deps: OcspHttpDeps): OcspHttpDeps['answer'] {
  const total = deps.metrics.counter('ocsp_responses_total', 'OCSP responses by what they say.', [
    'status',
  ] as const);
  const seconds = deps.metrics.histogram(
    'ocsp_response_duration_seconds',
    'Time to answer an OCSP request.',
    [],
  );
  return (der) => {
    const stop = seconds.startTimer({});
    return once(deps.answer(der), (reply) => {
      total.inc({ status: reply.outcome });
      stop();
      return reply;
    });
  };
}

/** Goes on with what is there at once, or once it is: each wait costs as much as an answer that is kept. */
function once<T, U>(value: T | Promise<T>, next: (value: T) => U): U | Promise<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}

function toReply(reply: OcspReply, headers: Record<string, string>): HttpReply {
  return {
    status: 200,
    headers: { 'content-type': 'application/ocsp-response', ...headers },
    body: reply.response,
  };
}

/** RFC 5019 §6.2. An answer is offered to caches for `httpMaxAge`, and never past its nextUpdate. */
function cached(deps: OcspHttpDeps, request: HttpRequest, signed: SignedResponse): HttpReply {
  const now = deps.clock.now();
  const until = now < signed.refreshAt ? signed.refreshAt : signed.nextUpdate;
  const maxAge = Math.max(0, Math.floor(Math.min(until - now, deps.httpMaxAge) / 1000));
  const validators = validatorsOf(signed);
  const headers = {
    'cache-control': `max-age=${maxAge}, public, no-transform, must-revalidate`,
    ...validators,
    expires: expiresAt(Math.floor(now / 1000) + maxAge),
  };
  if (request.headers['if-none-match'] === validators.etag) return { status: 304, headers };
  return {
    status: 200,
    headers: { 'content-type': 'application/ocsp-response', ...headers },
    body: signed.response,
  };
}

interface Validators {
  /** Hex SHA-1 of the response, RFC 5019 §6.2. */
  readonly etag: string;
  readonly 'last-modified': string;
}

/** Of the answers that HTTP caches have asked for. */
const known = new WeakMap<SignedResponse, Validators>();

function validatorsOf(signed: SignedResponse): Validators {
  const made = known.get(signed) ?? {
    etag: `"${hash('sha1', signed.response)}"`,
    'last-modified': new Date(signed.thisUpdate).toUTCString(),
  };
  known.set(signed, made);
  return made;
}

let lastExpires = { second: 0, text: '' };

/** Most answers of a second expire in one second. */
function expiresAt(second: number): string {
  if (second !== lastExpires.second)
    lastExpires = { second, text: new Date(second * 1000).toUTCString() };
  return lastExpires.text;
}

/** RFC 6960 §A.1: base64 of the DER, percent-encoded; some clients leave `/`, `+` and `=` as they are. */
function fromPath(path: string): Buffer | undefined {
  const base64 = path.includes('%') ? decodeOnce(path) : path;
  if (base64 === undefined || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined;
  const der = Buffer.from(base64, 'base64');
  return der.length > BODY_LIMIT ? undefined : der;
}

function decodeOnce(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    // Not percent-encoding: answered as malformedRequest.
    return undefined;
  }
}

function mediaType(request: HttpRequest): string {
  const value = request.headers['content-type'];
  return (typeof value === 'string' ? value : '').split(';', 1)[0]!.trim().toLowerCase();
}

function text(status: number, message: string): HttpReply {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: `${message}\n` };
}
