import type { IssuedCertificate } from '@gigvault/proto/ca/v1/issuance';
import type { JudgedRequest, StoredRequest } from '../enrolment/stored-request.ts';

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
   * @param dueAt When the issuing worker takes an approved one up, if nobody else has finished it.
   */
  create(request: JudgedRequest, dueAt: number): Promise<boolean>;
  /** Newest first, without certificates' bytes being needed by the caller. */
  list(filter: RequestFilter): Promise<StoredRequest[]>;
}

/** The way from approved to issued. */
export interface IssuingStore {
  /** approved → issued; false when it was not approved any more. */
  markIssued(requestId: string, certificate: IssuedCertificate): Promise<boolean>;
  /** approved → failed, with its event; false when it was not approved any more. */
  markFailed(request: StoredRequest, errorCode: string, errorMessage: string): Promise<boolean>;
  /** Counts an attempt and lets the worker try again from `dueAt`. */
  postpone(requestId: string, dueAt: number): Promise<void>;
  /** Leases up to `limit` approved requests that are due at `now`, until `leasedUntil`. */
  claimApproved(limit: number, now: number, leasedUntil: number): Promise<StoredRequest[]>;
}

/** One person's vote. */
export interface NewVote {
  readonly requestId: string;
  readonly actor: string;
  readonly approve: boolean;
  readonly comment: string;
  /** Unix milliseconds. */
  readonly at: number;
  /** As in RequestStore.create, if this vote approves. */
  readonly dueAt: number;
}

/** How a vote was taken. */
export type VoteResult = 'counted' | 'voted before' | 'not pending';

/** The way from pending to approved or rejected. */
export interface VoteStore {
  /**
   * Counts the vote of somebody who is not the requester, with its events: the last approval that was needed approves,
   * the first refusal rejects. Everything or nothing.
   */
  vote(vote: NewVote): Promise<VoteResult>;
}
