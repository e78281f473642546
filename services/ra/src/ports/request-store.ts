import type { IssuedCertificate } from '@gigvault/proto/ca/v1/issuance';
import type { JudgedRequest, StoredRequest } from '../enrolment/stored-request.ts';

/**
 * The longest pause before an approved request is tried again, milliseconds; a lease is shorter. What is not due for longer was put off by a
 * clock that was ahead: it counts as due.
 */
export const LONGEST_DELAY = 60_000;

/** The first pause, milliseconds; each is twice the one before. */
export const SHORTEST_DELAY = 125;

/** Which requests a list shows. Empty texts: no filter. */
export interface RequestFilter {
  readonly status: string;
  readonly requester: string;
  readonly limit: number;
  /** Shows what was made before this one. */
  readonly before?: { readonly createdAt: number; readonly requestId: string };
}

/** Enrolment requests. */
export interface RequestStore {
  find(requestId: string): Promise<StoredRequest | undefined>;
  /**
   * Stores a judged request with its events. When the id is taken nothing changes, and false comes back.
   *
   * @param at.askedAt When the CA is first asked, if it is approved.
   * @param at.dueAt When the issuing worker takes an approved one up, if nobody else has finished it.
   */
  create(
    request: JudgedRequest,
    at: { readonly askedAt: number; readonly dueAt: number },
  ): Promise<boolean>;
  /** Newest first, without certificates' bytes being needed by the caller. */
  list(filter: RequestFilter): Promise<StoredRequest[]>;
  /** How many wait for people. */
  countPending(): Promise<number>;
}

/** The way from approved to issued. */
export interface IssuingStore {
  /**
   * Writes down that the CA is asked from `now` on: when it was first asked, Unix milliseconds; undefined when the request
   * is not approved any more.
   */
  markAsked(requestId: string, now: number): Promise<number | undefined>;
  /** approved → issued; false when it was not approved any more. */
  markIssued(requestId: string, certificate: IssuedCertificate): Promise<boolean>;
  /**
   * approved → failed, with its event; false when it was not approved any more, or somebody has asked the CA since `request`
   * was read.
   */
  markFailed(request: StoredRequest, errorCode: string, errorMessage: string): Promise<boolean>;
  /** Counts an attempt and lets the worker try again from `dueAt`. */
  postpone(requestId: string, dueAt: number): Promise<void>;
  /** Leases up to `limit` approved requests that are due at `now`, or not for more than LONGEST_DELAY, until `leasedUntil`. */
  claimApproved(limit: number, now: number, leasedUntil: number): Promise<StoredRequest[]>;
}

/** One person's vote. */
export interface NewVote {
  readonly requestId: string;
  readonly actor: string;
  readonly actorName?: string | undefined;
  readonly approve: boolean;
  readonly comment: string;
  /** Unix milliseconds. */
  readonly at: number;
  /** A request that was made by then is not voted on any more, Unix milliseconds. */
  readonly madeAfter: number;
  /** As in RequestStore.create, if this vote approves. */
  readonly dueAt: number;
}

/** How a vote was taken. `decided`: it was the one that approved or rejected the request. */
export type VoteResult = 'counted' | 'decided' | 'voted before' | 'not pending';

/** The way from pending to approved, rejected, or failed because nobody decided. */
export interface VoteStore {
  /**
   * Counts the vote of somebody who is not the requester, with its events: the last approval that was needed approves,
   * the first refusal rejects. Everything or nothing.
   */
  vote(vote: NewVote): Promise<VoteResult>;
  /**
   * pending → failed for up to `limit` requests that were made by `before` (Unix milliseconds), each with its event. Returns
   * how many.
   */
  expire(before: number, limit: number, errorCode: string, errorMessage: string): Promise<number>;
}
