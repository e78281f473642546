import { createHash } from 'node:crypto';
import { type AddressRules, hostOf, refusalOf } from '@gigvault/egress/address-rules';
import { parseIp } from '@gigvault/egress/network';
import type { Identifier } from '@gigvault/proto/ra/v1/authorization';
import { AWAKE, type Clock } from '@gigvault/time/clock';
import { normalizeDnsName } from '@gigvault/x509/dns-name';
import type { HopFetcher, HopReply } from '../ports/hop-fetcher.ts';
import type { Resolver } from '../ports/resolver.ts';
import { ChallengeFailure } from './challenge-failure.ts';

const MAX_REDIRECTS = 10;
const MAX_BODY = 512;
const MAX_ADDRESSES = 4;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 307, 308]);

/** What http-01 needs. */
export interface Http01Deps {
  readonly resolver: Resolver;
  readonly fetcher: HopFetcher;
  readonly clock: Clock;
  readonly rules: AddressRules;
  /** Where the first request goes: 80, another one only in development. */
  readonly port: number;
  /** Milliseconds for everything, redirects included. */
  readonly timeout: number;
}

/** What is to be proved. */
export interface Http01Input {
  readonly identifier: Identifier;
  readonly token: string;
  readonly keyAuthorization: string;
  readonly signal: AbortSignal;
}

/** One request of a validation, as evidence. */
export interface HopEvidence {
  readonly url: string;
  /** Every address that the name had. */
  readonly addresses: readonly string[];
  /** As `10.0.0.1 (private use)`. */
  readonly refused: readonly string[];
  /** The address that was connected to, the last one when there were several. */
  address?: string;
  status?: number;
}

/** What was seen for one name: the evidence of its validation. */
export interface ValidationEvidence {
  readonly method: 'http-01';
  readonly identifier: Identifier;
  readonly hops: HopEvidence[];
  /** SHA-256 (hex) of the body of the last reply. */
  bodySha256?: string;
}

/** How a validation ended. */
export interface ValidationResult {
  readonly evidence: ValidationEvidence;
  /** Absent: the control of the name is proved. */
  readonly failure?: ChallengeFailure;
}

/**
 * Validates control of one name (RFC 8555 §8.3): the name's server must answer the well-known URL with the key authorization.
 * Redirects are followed over http and https, 301, 302, 307 and 308 only, at most ten; each hop's name is resolved once, the
 * address checked, and the connection made to that address (T42, T43). Replies are read up to 512 octets (T44). Never throws
 * for what the other side does.
 */
export async function validateHttp01(
  deps: Http01Deps,
  input: Http01Input,
): Promise<ValidationResult> {
  const evidence: ValidationEvidence = {
    method: 'http-01',
    identifier: input.identifier,
    hops: [],
  };
  try {
    await withDeadline(deps, input.signal, evidence, (signal) =>
      prove(deps, input, evidence, signal),
    );
    return { evidence };
  } catch (error) {
    if (input.signal.aborted || !(error instanceof ChallengeFailure)) throw error;
    return { evidence, failure: error };
  }
}

async function prove(
  deps: Http01Deps,
  input: Http01Input,
  evidence: ValidationEvidence,
  signal: AbortSignal,
): Promise<void> {
  let url = firstUrl(deps, input);
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    checkUrl(deps, url, input.identifier);
    const reply = await fetchHop(deps, url, evidence, signal);
    evidence.bodySha256 = createHash('sha256').update(reply.body).digest('hex');
    if (!REDIRECTS.has(reply.status)) return judgeReply(reply, url, input.keyAuthorization);
    url = nextUrl(url, reply.location);
  }
  throw new ChallengeFailure(
    'connection',
    `More than ${MAX_REDIRECTS} redirects, the last to ${shown(url)}`,
  );
}

function firstUrl({ port }: Http01Deps, { identifier, token }: Http01Input): URL {
  const host = identifier.value.includes(':') ? `[${identifier.value}]` : identifier.value;
  return new URL(`http://${host}:${port}/.well-known/acme-challenge/${token}`);
}

/** WHATWG URL parsing has turned decimal, octal and hexadecimal hosts into plain addresses before this looks at them. */
function checkUrl({ port, rules }: Http01Deps, url: URL, identifier: Identifier): void {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new ChallengeFailure(
      'connection',
      `Redirect to ${shown(url)}: only http and https are followed`,
    );
  }
  if (![80, 443, port].includes(portOf(url))) {
    throw new ChallengeFailure(
      'connection',
      `Redirect to ${shown(url)}: only ports 80 and 443 are allowed`,
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new ChallengeFailure('connection', 'Redirect to a URL with a user name or password');
  }
  const host = hostOf(url);
  if (parseIp(host) ? host !== identifier.value : !isDnsName(host, rules.development)) {
    throw new ChallengeFailure(
      'connection',
      `Redirect to ${shown(url)}: the host must be a DNS name`,
    );
  }
}

function isDnsName(host: string, development: boolean): boolean {
  try {
    return normalizeDnsName(host, { development, wildcard: false }) === host;
  } catch {
    return false;
  }
}

async function fetchHop(
  deps: Http01Deps,
  url: URL,
  evidence: ValidationEvidence,
  signal: AbortSignal,
): Promise<HopReply> {
  const host = hostOf(url);
  const addresses = parseIp(host) ? [host] : await deps.resolver.resolve(host, signal);
  const refused = addresses.flatMap((address) => {
    const reason = refusalOf(deps.rules, address, host);
    return reason === undefined ? [] : [{ address, text: `${address} (${reason})` }];
  });
  const hop: HopEvidence = { url: shown(url), addresses, refused: refused.map(({ text }) => text) };
  evidence.hops.push(hop);
  const allowed = addresses.filter(
    (address) => !refused.some((other) => other.address === address),
  );
  if (allowed.length === 0) throw nowhereToGo(host, hop.refused);
  return tryAddresses(deps, url, allowed.slice(0, MAX_ADDRESSES), hop, signal);
}

function nowhereToGo(host: string, refused: readonly string[]): ChallengeFailure {
  if (refused.length === 0)
    return new ChallengeFailure('dns', `${host} has no address`, { retry: true });
  return new ChallengeFailure(
    'connection',
    `${host} has no address that may be validated: ${refused.join(', ')}`,
  );
}

/** In order, until a server is reached. */
async function tryAddresses(
  deps: Http01Deps,
  url: URL,
  addresses: readonly string[],
  hop: HopEvidence,
  signal: AbortSignal,
): Promise<HopReply> {
  let unreached: unknown;
  for (const address of addresses) {
    try {
      const onConnect = () => Object.assign(hop, { address });
      const reply = await deps.fetcher.fetch({
        url,
        address,
        maxBody: MAX_BODY,
        onConnect,
        signal,
      });
      hop.status = reply.status;
      return reply;
    } catch (error) {
      if (signal.aborted || !(error instanceof ChallengeFailure && error.retry)) throw error;
      unreached = error;
    }
  }
  throw unreached;
}

function nextUrl(url: URL, location: string | undefined): URL {
  const next = location === undefined || location.length > 2000 ? null : URL.parse(location, url);
  if (!next)
    throw new ChallengeFailure('connection', `${shown(url)} redirects to nowhere that can be read`);
  return next;
}

function judgeReply(reply: HopReply, url: URL, keyAuthorization: string): void {
  if (reply.status !== 200) {
    throw new ChallengeFailure(
      'unauthorized',
      `${shown(url)} answered with status ${reply.status} instead of 200`,
    );
  }
  // RFC 8555 §8.3: whitespace at the end of the body is ignored.
  const text = reply.body.toString('latin1').trimEnd();
  if (reply.truncated || text !== keyAuthorization) {
    const seen = JSON.stringify(text.slice(0, 100).replaceAll(/[^\x20-\x7e]/g, '?'));
    throw new ChallengeFailure(
      'incorrectResponse',
      `${shown(url)} did not answer with the key authorization but with ${seen}`,
    );
  }
}

/** Aborts what runs when the time is over; the failure then tells of the time, not of the abort. */
async function withDeadline(
  { clock, timeout }: Http01Deps,
  outer: AbortSignal,
  evidence: ValidationEvidence,
  run: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const over = new AbortController();
  const done = new AbortController();
  const timer = clock.sleep(timeout, done.signal).then(
    () => over.abort(lateFailure(evidence, timeout)),
    () => undefined,
  );
  const stop = () => over.abort(outer.reason);
  outer.addEventListener('abort', stop, { once: true });
  try {
    outer.throwIfAborted();
    await run(over.signal);
  } catch (error) {
    throw over.signal.aborted && !outer.aborted ? over.signal.reason : error;
  } finally {
    outer.removeEventListener('abort', stop);
    done.abort(AWAKE);
    await timer;
  }
}

/** Nothing was reached in time: name servers and networks have bad moments too. What was reached has shown what it does. */
function lateFailure({ identifier, hops }: ValidationEvidence, timeout: number): ChallengeFailure {
  const seconds = timeout / 1000;
  if (hops.length === 0)
    return new ChallengeFailure('dns', `${identifier.value} was not resolved in ${seconds} s`, {
      retry: true,
    });
  return new ChallengeFailure('connection', `Validation took longer than ${seconds} s`, {
    retry: hops.every(({ address }) => address === undefined),
  });
}

function portOf(url: URL): number {
  return url.port === '' ? ({ 'http:': 80, 'https:': 443 }[url.protocol] ?? 0) : Number(url.port);
}

/** A URL in a message: no user name, no query, no more than a line. */
function shown(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`.slice(0, 200);
}
