import { durableStep } from '@gigvault/telemetry/durable-step';
import type { ClockGuard } from '@gigvault/time/clock-guard';
import type { ClaimedChallenge, ValidationQueue } from '../ports/validation-queue.ts';
import { toChallengeProblem } from './challenge-failure.ts';
import { type Http01Deps, validateHttp01 } from './http-01.ts';

/** What validating needs. */
export interface ValidateDeps extends Http01Deps {
  readonly queue: ValidationQueue;
  /** Leases and pauses go by what it believes: a clock that is set must not put them off for hours. */
  readonly clockGuard: ClockGuard;
  /** Attempts before a server that cannot be reached makes the challenge invalid. */
  readonly attempts: number;
  /** Milliseconds before the second attempt; doubles afterwards. */
  readonly retryDelay: number;
  /** Milliseconds for which a valid authorization lasts. */
  readonly authorizationValidity: number;
}

/**
 * One attempt at one challenge, to its end: valid, invalid, or tried again later because the server was not reached.
 * Throws the signal's reason when it aborts; the lease then brings the challenge back.
 */
export async function validateChallenge(
  deps: ValidateDeps,
  challenge: ClaimedChallenge,
  signal: AbortSignal,
): Promise<void> {
  const { queue, clock } = deps;
  const { evidence, failure } = await validateHttp01(deps, { ...challenge, signal });
  if (failure?.retry && challenge.attempt < deps.attempts) {
    const dueAt = deps.clockGuard.believed() + pauseAfter(deps, challenge.attempt);
    await queue.postpone(challenge, dueAt);
    return;
  }
  const at = clock.now();
  const problem = failure && toChallengeProblem(failure);
  const outcome = {
    challenge,
    evidence,
    at,
    validUntil: at + deps.authorizationValidity,
    ...(problem ? { problem } : {}),
  };
  await durableStep('ra.authorization', () => queue.finish(outcome));
}

/** The longest pause between two attempts, milliseconds. */
export function longestPause(deps: Pick<ValidateDeps, 'attempts' | 'retryDelay'>): number {
  return pauseAfter(deps, deps.attempts - 1);
}

function pauseAfter({ retryDelay }: Pick<ValidateDeps, 'retryDelay'>, attempt: number): number {
  return retryDelay * 2 ** (attempt - 1);
}
