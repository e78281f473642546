import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import { isUuid } from '@gigvault/ids/uuid';
import type { IssuedCertificate } from '@gigvault/proto/ca/v1/issuance';
import type { Log } from '@gigvault/telemetry/log';
import type { SingleFlight } from '@gigvault/time/single-flight';
import type { Intent } from '../ports/intent-store.ts';
import type { IssuanceObserver } from '../ports/observer.ts';
import { type SettleDeps, settleIntent } from '../reconciliation/settle-intent.ts';
import type { AuditGate } from './audit-gate.ts';
import { blockedKey } from './check-issuance.ts';
import { type CheckDeps, checkOrder } from './check-order.ts';
import { finishCertificate } from './finish-certificate.ts';
import { flightOf } from './flight.ts';
import { intendedEvent } from './issuance-events.ts';
import type { IssuanceOrder } from './issuance-order.ts';
import { type PreparedCertificate, prepareCertificate } from './prepared-certificate.ts';

/** What issuance needs. */
export interface IssueDeps extends SettleDeps, CheckDeps {
  readonly auditGate: AuditGate;
  /** Issuances of this process, by request id. */
  readonly flights: SingleFlight<IssuedCertificate>;
  readonly observer: IssuanceObserver;
  readonly log: Log;
  /** Milliseconds from its opening for which another process's intent is left alone before its signing is closed. */
  readonly foreignIntentGrace: number;
  /** The same while that process lives: under load a signing waits its turn, and one that is closed costs a serial number and a new attempt. */
  readonly heldIntentGrace: number;
}

/** Each attempt but the last ended because somebody else settled the request's intent. */
const ATTEMPTS = 4;

/** Milliseconds between two looks at an intent of another process: at first, and at most. */
const LOOK_AGAIN = 50;
const LONGEST_LOOK = 500;

/**
 * Issues one certificate for an approved request: steps 5 to 9 of docs/flows/issuance.md. Idempotent on the request's id, in this
 * process and across processes and crashes: the certificate that exists for it is returned.
 * Errors: INVALID_ARGUMENT, NOT_FOUND (issuer), UNKNOWN_PROFILE, PROFILE_CHANGED, BAD_CSR, BAD_PUBLIC_KEY, REJECTED_IDENTIFIER,
 * LINT_FAILED, AUDIT_LAGGING, KEY_UNAVAILABLE, KEY_USE_REFUSED, UNAVAILABLE, CONFLICT, ALREADY_EXISTS (another's request id).
 */
export function issueCertificate(
  deps: IssueDeps,
  order: IssuanceOrder,
): Promise<IssuedCertificate> {
  const requestId = order.requestId.toLowerCase();
  return deps.flights.join(flightOf({ ...order, requestId }), () =>
    deps.observer.observe(order, () => issue(deps, { ...order, requestId })),
  );
}

async function issue(deps: IssueDeps, order: IssuanceOrder): Promise<IssuedCertificate> {
  try {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const certificate = await attemptIssuance(deps, order);
      if (certificate) return certificate;
    }
  } catch (error) {
    // What would be refused today may have been issued or begun before: a retry gets what exists, or what comes of it.
    const earlier = await begunBefore(deps, order, error);
    if (earlier) return earlier;
    throw error;
  }
  throw new GigvaultError('CONFLICT', 'This request is being worked on elsewhere; ask again.');
}

/** Undefined: the request's intent was settled without a certificate; a new attempt may be made. */
async function attemptIssuance(
  deps: IssueDeps,
  order: IssuanceOrder,
): Promise<IssuedCertificate | undefined> {
  deps.clockGuard.check();
  if (!order.internal) await deps.auditGate.check();
  // 5. Everything is checked again, whoever checked it before.
  const checked = await checkOrder(deps, order);
  // 6. Build and lint. From here on the bytes do not change.
  const prepared = prepareCertificate(checked, deps.clockGuard.now());
  // 7. Serial number, bytes and event are durable before the key is asked.
  const outcome = await deps.intents.open(prepared.intent, intendedEvent(prepared.intent));
  switch (outcome) {
    case 'opened':
      return signAndStore(deps, prepared);
    case 'request-taken':
      return settleRequest(deps, order);
    case 'serial-taken':
      return undefined;
    case 'key-blocked':
      throw blockedKey();
  }
}

/** 8. Sign: once. 9. Verify and store. */
async function signAndStore(
  deps: IssueDeps,
  prepared: PreparedCertificate,
): Promise<IssuedCertificate | undefined> {
  const { intent } = prepared;
  let signature: Buffer;
  try {
    signature = await deps.signer.sign(prepared.take());
  } catch (error) {
    return settleAfterFailure(deps, intent, error);
  }
  return reply(deps, intent, await finishCertificate(deps, intent, signature));
}

/** The signature may exist although signing failed for us: never sign again, close the signing. */
async function settleAfterFailure(
  deps: IssueDeps,
  intent: Intent,
  failure: unknown,
): Promise<IssuedCertificate | undefined> {
  let certificate: Buffer | undefined;
  try {
    certificate = await settleIntent(deps, intent);
  } catch (error) {
    deps.log.warn(
      { serial: intent.serialNumber, error },
      'an intent stays open for the reconciler',
    );
    throw failure;
  }
  if (certificate) return reply(deps, intent, certificate);
  // Somebody else had closed the signing before it reached the key: a new serial number may be tried at once.
  if (failure instanceof GigvaultError && failure.code === 'SIGNING_CLOSED') return undefined;
  throw failure;
}

/** The request has an intent that is not of this run: of a process that died, or of one that is still at it. */
async function settleRequest(
  deps: IssueDeps,
  order: IssuanceOrder,
): Promise<IssuedCertificate | undefined> {
  const began = deps.clock.now();
  let pause = LOOK_AGAIN;
  for (;;) {
    const state = await deps.intents.findByRequest(order.requestId);
    if (state === undefined) return undefined;
    requireSameOrder(state.intent, order);
    if (state.status === 'issued') return reply(deps, state.intent, state.certificate);
    const grace = state.held ? deps.heldIntentGrace : deps.foreignIntentGrace;
    // Its opener has had the time, if it lives; the first limit is for an opener whose clock is ahead.
    const giveUpAt = Math.min(began, state.intent.createdAt) + grace;
    if (deps.clock.now() >= giveUpAt) {
      const certificate = await settleIntent(deps, state.intent);
      return certificate && reply(deps, state.intent, certificate);
    }
    await deps.clock.sleep(pause);
    pause = Math.min(pause * 2, LONGEST_LOOK);
  }
}

async function begunBefore(
  deps: IssueDeps,
  order: IssuanceOrder,
  refusal: unknown,
): Promise<IssuedCertificate | undefined> {
  const { requestId } = order;
  if (!isUuid(requestId)) return undefined;
  // The refusal in hand says more than a failed look-up.
  const state = await deps.intents.findByRequest(requestId).catch(() => undefined);
  if (state === undefined) return undefined;
  requireSameOrder(state.intent, order);
  if (state.status === 'issued') return reply(deps, state.intent, state.certificate);
  // A refusal is final for who asked: a signature of a run that died must not come to light after it, with nobody to have it.
  return asGigvaultError(refusal).row.retry ? undefined : settleRequest(deps, order);
}

/** A request id belongs to whoever used it first, for the profile it was used for. Errors: ALREADY_EXISTS. */
function requireSameOrder(intent: Intent, order: IssuanceOrder): void {
  if (intent.requester === order.requester && intent.profile === order.profile) return;
  throw new GigvaultError('ALREADY_EXISTS', 'This request id belongs to another request.');
}

async function reply(
  deps: IssueDeps,
  intent: Intent,
  certificate: Buffer,
): Promise<IssuedCertificate> {
  const { serialNumber, issuerId } = intent;
  const { chain } = await deps.issuers.get(issuerId);
  return { serialNumber, issuerId, certificate, chain: [...chain] };
}
