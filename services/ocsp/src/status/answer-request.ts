import { asGigvaultError } from '@gigvault/errors/gigvault-error';
import type { Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import type { ClockGuard } from '@gigvault/time/clock-guard';
import { within } from '@gigvault/time/within';
import {
  type CertId,
  type OcspRequest,
  OcspRequestError,
  ocspErrorResponse,
  readOcspRequest,
} from '@gigvault/x509/ocsp';
import type { Responder, ResponderDirectory } from '../responder/responder-directory.ts';
import type { Outcome, ResponseCache, SignedResponse } from './response-cache.ts';
import { type SignDeps, signResponse } from './sign-response.ts';
import type { KnownStatus, StatusIndex } from './status-index.ts';

/** How long a client waits for a newer answer when there is one that is still valid, ms: databases and services go silent for longer. */
const RENEWAL_LIMIT = 500;

/** What answering needs. */
export interface AnswerDeps extends SignDeps {
  readonly responders: ResponderDirectory;
  readonly statuses: StatusIndex;
  readonly responses: ResponseCache;
  readonly clock: Clock;
  readonly clockGuard: ClockGuard;
  readonly log: Log;
}

/** OCSPResponseStatus other than successful, RFC 6960 §4.2.1. */
export type Refusal = 'malformedRequest' | 'internalError' | 'tryLater' | 'unauthorized';

/** The answer to one request. */
export interface OcspReply {
  /** OCSPResponse, DER. */
  readonly response: Buffer;
  readonly outcome: Outcome | Refusal;
  /** Set when HTTP caches may keep the answer: no nonce, one certificate that was issued. */
  readonly cacheable?: SignedResponse;
}

const REFUSALS: Readonly<Record<Refusal, Buffer>> = {
  malformedRequest: ocspErrorResponse('malformedRequest'),
  internalError: ocspErrorResponse('internalError'),
  tryLater: ocspErrorResponse('tryLater'),
  unauthorized: ocspErrorResponse('unauthorized'),
};

/** An unsigned answer that says why there is none. */
export function refuse(outcome: Refusal): OcspReply {
  return { response: REFUSALS[outcome], outcome };
}

/**
 * Answers one OCSPRequest (RFC 6960). Never throws and never guesses: a state that cannot be learnt now is `tryLater`, a serial
 * number that was never issued is `unknown`.
 */
export function answerRequest(deps: AnswerDeps, der: Buffer): OcspReply | Promise<OcspReply> {
  // 1. read
  const request = read(der);
  if (!request) return refuse('malformedRequest');
  // 2. one responder must be allowed to answer for every certificate of the request
  const responder = responderFor(deps.responders, request);
  if (!responder) return refuse(isFinal(deps.responders, request) ? 'unauthorized' : 'tryLater');
  // 3. kept, or signed now
  const [first] = request.requests;
  const alone = request.requests.length === 1 && !request.nonce ? first : undefined;
  const kept = alone && freshAnswer(deps, responder, alone);
  if (kept && deps.responses.isTrusted(kept) && isCurrent(deps, kept)) return toReply(kept);
  return answerNow(deps, responder, request, alone);
}

/** @param alone what is asked about, when the answer can be kept */
async function answerNow(
  deps: AnswerDeps,
  responder: Responder,
  request: OcspRequest,
  alone: CertId | undefined,
): Promise<OcspReply> {
  try {
    if (alone) return await answerKept(deps, responder, alone);
    const { response, outcome } = await answerSigned(deps, responder, request);
    return { response, outcome };
  } catch (error) {
    return refuse(refusalOf(deps, error));
  }
}

function read(der: Buffer): OcspRequest | undefined {
  try {
    return readOcspRequest(der);
  } catch (error) {
    if (error instanceof OcspRequestError) return undefined;
    throw error;
  }
}

function responderFor(directory: ResponderDirectory, request: OcspRequest): Responder | undefined {
  const responders = request.requests.map((one) => directory.find(one));
  return responders.every((one) => one === responders[0]) ? responders[0] : undefined;
}

/** Clients may take `unauthorized` for good: while a responder that is missing may come, it would be a guess. */
function isFinal(directory: ResponderDirectory, { requests }: OcspRequest): boolean {
  return requests.every((one) => directory.find(one) !== undefined || !directory.mayCome(one));
}

/** The kept answer, up to half of its validity. */
function freshAnswer(
  { responses, clock }: AnswerDeps,
  { issuerId }: Responder,
  { serialNumber, certId }: CertId,
): SignedResponse | undefined {
  const kept = responses.get({ issuerId, serialNumber }, certId);
  return kept && clock.now() < kept.refreshAt ? kept : undefined;
}

/** A newer answer; when there is none in time, the kept one, which is better than none up to its nextUpdate. */
async function answerKept(
  deps: AnswerDeps,
  responder: Responder,
  asked: CertId,
): Promise<OcspReply> {
  const key = { issuerId: responder.issuerId, serialNumber: asked.serialNumber };
  const old = () => {
    const kept = deps.responses.get(key, asked.certId);
    return kept && deps.clock.now() < kept.nextUpdate ? kept : undefined;
  };
  const newer = deps.responses.produce(key, asked.certId, () => renew(deps, responder, asked));
  if (!old()) return toReply(await newer);
  try {
    return toReply(await within(deps.clock, RENEWAL_LIMIT, newer, 'no newer answer in time'));
  } catch (error) {
    // Read again: a purge may have come meanwhile, and then there is only the newer one.
    const kept = old();
    if (!kept) return toReply(await newer);
    deps.log.warn({ error }, 'serving an OCSP response that could not be renewed');
    return toReply(kept);
  }
}

async function renew(
  deps: AnswerDeps,
  responder: Responder,
  asked: CertId,
): Promise<SignedResponse> {
  const { issuerId } = responder;
  const { certId, serialNumber } = asked;
  const fresh = freshAnswer(deps, responder, asked);
  const known = await deps.statuses.lookup(issuerId, serialNumber);
  // `ca` does not answer either: signing the same again would say no more.
  if (fresh && isNothingNew(known, fresh)) return fresh;
  if (known.state?.status === 'revoked') deps.responses.forget({ issuerId, serialNumber });
  return signResponse(deps, responder, [{ certId, known }], deps.clockGuard.now());
}

/** A revocation is final; that something is good holds only as long as the event log is followed. */
function isCurrent({ statuses }: AnswerDeps, { outcome, thisUpdate }: SignedResponse): boolean {
  return outcome === 'revoked' || statuses.isCurrent(thisUpdate);
}

function isNothingNew({ state, asOf }: KnownStatus, { thisUpdate }: SignedResponse): boolean {
  return state?.status === 'good' && asOf !== undefined && asOf < thisUpdate + 1_000;
}

async function answerSigned(
  deps: AnswerDeps,
  responder: Responder,
  request: OcspRequest,
): Promise<SignedResponse> {
  const answers = await Promise.all(
    request.requests.map(async ({ certId, serialNumber }) => ({
      certId,
      known: await deps.statuses.lookup(responder.issuerId, serialNumber),
    })),
  );
  return signResponse(deps, responder, answers, deps.clockGuard.now(), request.nonce);
}

function toReply(signed: SignedResponse): OcspReply {
  const { response, outcome } = signed;
  return outcome === 'unknown' ? { response, outcome } : { response, outcome, cacheable: signed };
}

function refusalOf(deps: AnswerDeps, error: unknown): Refusal {
  const { code, row } = asGigvaultError(error);
  const refusal = row.retry && code !== 'INTERNAL' ? 'tryLater' : 'internalError';
  deps.log[refusal === 'tryLater' ? 'warn' : 'error']({ error }, 'no OCSP answer now');
  return refusal;
}
