import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { assembleOcspResponse, buildResponseData, type SingleResponse } from '@gigvault/x509/ocsp';
import { verifySignature } from '@gigvault/x509/signature';
import type { ResponseSigner } from '../ports/response-signer.ts';
import type { Responder } from '../responder/responder-directory.ts';
import type { Outcome, SignedResponse } from './response-cache.ts';
import type { KnownStatus } from './status-index.ts';

/** One certificate that is asked about, with what is known of it. */
export interface Answer {
  /** CertID as the client sent it, DER. */
  readonly certId: Buffer;
  readonly known: KnownStatus;
}

/** What signing needs. */
export interface SignDeps {
  readonly signer: ResponseSigner;
  /** nextUpdate minus thisUpdate, ms. */
  readonly validity: number;
}

/**
 * Signs one response about all `answers`, and verifies the signature before anyone sees it.
 *
 * thisUpdate is the time up to which the state is known, not the time of signing (RFC 6960 §2.4): when the event log cannot be
 * read, answers grow old and then stop. nextUpdate never passes the responder certificate's end.
 * Errors: UNAVAILABLE (knowledge or responder certificate too old), KEY_UNAVAILABLE (no signature, or a wrong one).
 */
export async function signResponse(
  deps: SignDeps,
  responder: Responder,
  answers: readonly Answer[],
  now: number,
  nonce?: Buffer,
): Promise<SignedResponse> {
  const producedAt = wholeSeconds(now);
  if (now < responder.notBefore || now >= responder.notAfter) {
    throw new GigvaultError('UNAVAILABLE', 'The responder certificate is not valid now.');
  }
  const responses = answers.map((answer) =>
    toSingleResponse(answer, now, deps.validity, responder.notAfter),
  );
  const responseData = buildResponseData({
    responderKeyHash: responder.responderKeyHash,
    producedAt,
    responses,
    nonce,
  });
  const signature = await deps.signer.sign(responder.keyId, responseData);
  if (!verifySignature(responder.publicKey, responder.algorithm, responseData, signature)) {
    throw new GigvaultError('KEY_UNAVAILABLE', 'The signature does not verify.');
  }
  const response = assembleOcspResponse(responseData, responder.algorithm, signature, [
    responder.certificate,
  ]);
  const thisUpdate = Math.min(...responses.map((r) => r.thisUpdate));
  const nextUpdate = Math.min(...responses.map((r) => r.nextUpdate));
  return {
    response,
    outcome: worstOf(answers),
    thisUpdate,
    nextUpdate,
    refreshAt: thisUpdate + (nextUpdate - thisUpdate) / 2,
  };
}

function toSingleResponse(
  { certId, known }: Answer,
  now: number,
  validity: number,
  notAfter: number,
): SingleResponse & { nextUpdate: number } {
  if (known.asOf === undefined || known.asOf + validity <= now) {
    throw new GigvaultError('UNAVAILABLE', 'What is known of this certificate is too old.');
  }
  const thisUpdate = wholeSeconds(Math.min(known.asOf, now));
  const nextUpdate = wholeSeconds(Math.min(thisUpdate + validity, notAfter));
  const { state } = known;
  if (!state) return { certId, status: 'unknown', thisUpdate, nextUpdate };
  if (state.status === 'good') return { certId, status: 'good', thisUpdate, nextUpdate };
  const { revokedAt, reasonCode } = state;
  return { certId, status: { revokedAt, reasonCode }, thisUpdate, nextUpdate };
}

function worstOf(answers: readonly Answer[]): Outcome {
  if (answers.some(({ known }) => known.state?.status === 'revoked')) return 'revoked';
  return answers.every(({ known }) => known.state) ? 'good' : 'unknown';
}

/** GeneralizedTime in OCSP has no fractions (RFC 6960 §4.2.2.1). */
function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}
