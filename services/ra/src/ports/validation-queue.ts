import type { Identifier } from '@gigvault/proto/ra/v1/authorization';
import type { ChallengeProblem } from '../validation/challenge-failure.ts';
import type { ValidationEvidence } from '../validation/http-01.ts';

/** A challenge that this process has leased for one attempt. */
export interface ClaimedChallenge {
  readonly authorizationId: string;
  readonly challengeId: string;
  readonly requester: string;
  readonly identifier: Identifier;
  readonly token: string;
  readonly keyAuthorization: string;
  /** Of this attempt, from 1: those before it have ended. */
  readonly attempt: number;
}

/** A lease of this process. */
export interface Lease {
  readonly challengeId: string;
  /** Unix milliseconds. */
  readonly until: number;
}

/** How a challenge ended. */
export interface ChallengeOutcome {
  readonly challenge: ClaimedChallenge;
  readonly evidence: ValidationEvidence;
  /** Unix milliseconds. */
  readonly at: number;
  /** When the authorization ends if it became valid, Unix milliseconds. */
  readonly validUntil: number;
  /** Absent: valid. */
  readonly problem?: ChallengeProblem;
}

/** How the queue is shared between requesters. */
export interface Share {
  /** The most validations of one requester at one time, in this process. */
  readonly each: number;
  /** Validations in flight in this process, by requester. */
  readonly inFlight: ReadonlyMap<string, number>;
}

/** The challenges that wait for validation. What a dead process has leased comes back when its lease ends, for the same attempt. */
export interface ValidationQueue {
  /**
   * Leases up to `limit` challenges that are due at `now`, until `leasedUntil`: requesters take turns, whoever has the fewest
   * in flight first, and nobody gets more than their share.
   */
  claim(limit: number, now: number, leasedUntil: number, share: Share): Promise<ClaimedChallenge[]>;
  /** Makes due at `now` what is not due until after `latest`: further ahead than any lease or pause, it was put off by a clock that was ahead. */
  recall(now: number, latest: number): Promise<void>;
  /** Leases for longer, until `until`, what is still leased as it is held. */
  renew(held: readonly Lease[], until: number): Promise<void>;
  /** Ends this attempt, and lets the challenge be claimed for the next from `dueAt`. Nothing happens when somebody else has ended it. */
  postpone(claimed: ClaimedChallenge, dueAt: number): Promise<void>;
  /**
   * Stores the evidence, then challenge processing → valid or invalid, then authorization pending → the same, then the event:
   * one transaction. False, with nothing stored, when either had moved on.
   */
  finish(outcome: ChallengeOutcome): Promise<boolean>;
  /** How many challenges wait for validation, or are at it. */
  countWaiting(): Promise<number>;
}
