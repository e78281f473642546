import { Readable } from 'node:stream';
import { asGigvaultError } from '@gigvault/errors/gigvault-error';
import type { ErrorReply, HttpReply, HttpRequest, HttpRoute } from '@gigvault/http/route';
import type { Clock } from '@gigvault/time/clock';
import type { ServedCrl, ServedCrls } from '../serving/served-crls.ts';

/** What the routes need. */
export interface CrlHttpDeps {
  readonly served: Pick<ServedCrls, 'get' | 'lost' | 'mayCome'>;
  readonly clock: Clock;
  /** The longest that HTTP caches may keep a CRL, ms. */
  readonly httpMaxAge: number;
}

/** Seconds after which a client may ask again for a CRL that is overdue, or not there yet. */
const RETRY_AFTER = 60;

/** CRLs over HTTP (RFC 5280 §4.2.1.13, RFC 2585). What is served was taken up before: a path never reaches a file system. */
export function crlRoutes(deps: CrlHttpDeps): HttpRoute[] {
  return (['GET', 'HEAD'] as const).map((method) => ({
    kind: 'protocol',
    listener: 'status',
    method,
    path: '/crl/:issuerId/:file',
    bodyLimit: 1,
    errorReply,
    handle: async (request) => answer(deps, request, method),
  }));
}

const errorReply: ErrorReply = (error) => {
  const { row, message } = asGigvaultError(error);
  return text(row.http, message);
};

async function answer(
  deps: CrlHttpDeps,
  request: HttpRequest<Record<string, string>>,
  method: 'GET' | 'HEAD',
): Promise<HttpReply> {
  const { issuerId = '', file = '' } = request.params;
  const shard = /^(0|[1-9]\d{0,5})\.crl$/.exec(file)?.[1];
  if (!/^[A-Za-z0-9-]{1,64}$/.test(issuerId) || shard === undefined) {
    return text(400, 'CRLs are at /crl/<issuer>/<number>.crl.');
  }
  const crl = deps.served.get(issuerId, Number(shard));
  if (!crl) {
    return deps.served.mayCome(issuerId, Number(shard))
      ? unavailable('The CRL is not there yet.')
      : text(404, 'There is no such CRL.');
  }
  const now = deps.clock.now();
  // T58: an expired CRL would tell clients nothing, or let them fall back to trusting everything.
  if (now >= crl.nextUpdate) {
    return unavailable('The CRL is overdue and is not served past its nextUpdate.');
  }
  const headers = cacheHeaders(crl, now, deps.httpMaxAge);
  if (isUnchanged(request, crl)) return { status: 304, headers };
  const about = {
    'content-type': 'application/pkix-crl',
    'content-length': String(crl.octets),
    ...headers,
  };
  if (method === 'HEAD') return { status: 200, headers: about };
  const body = await crl.body.open();
  if (body) {
    const whole = Buffer.isBuffer(body) || body instanceof Readable;
    return { status: 200, headers: about, body: whole ? body : Readable.from(body) };
  }
  // A newer one has taken its place since the look-up.
  if (deps.served.get(issuerId, crl.crlShard) !== crl) return answer(deps, request, method);
  // Somebody has deleted the file.
  deps.served.lost(crl);
  return unavailable('The CRL is being fetched again.');
}

function unavailable(message: string): HttpReply {
  return text(503, message, { 'retry-after': String(RETRY_AFTER), 'cache-control': 'no-store' });
}

function cacheHeaders(crl: ServedCrl, now: number, httpMaxAge: number): Record<string, string> {
  const maxAge = Math.floor(Math.min(crl.nextUpdate - now, httpMaxAge) / 1000);
  return {
    'cache-control': `max-age=${maxAge}, public, no-transform, must-revalidate`,
    etag: crl.body.etag,
    'last-modified': new Date(crl.thisUpdate).toUTCString(),
    expires: new Date(now + maxAge * 1000).toUTCString(),
  };
}

/** RFC 9110 §13.2.2: If-None-Match decides when it is there; a date only otherwise. */
function isUnchanged(request: HttpRequest<Record<string, string>>, crl: ServedCrl): boolean {
  const tags = request.headers['if-none-match'];
  if (typeof tags === 'string') {
    return tags
      .split(',')
      .some((tag) => tag.trim().replace(/^W\//, '') === crl.body.etag || tag.trim() === '*');
  }
  const since = request.headers['if-modified-since'];
  return typeof since === 'string' && Date.parse(since) >= crl.thisUpdate;
}

function text(status: number, message: string, headers: Record<string, string> = {}): HttpReply {
  return {
    status,
    headers: { 'content-type': 'text/plain; charset=utf-8', ...headers },
    body: `${message}\n`,
  };
}
