import type { Authorization, Identifier } from '@gigvault/proto/ra/v1/authorization';

/** A pending authorization with its one challenge, before it is stored. */
export interface NewAuthorization {
  readonly authorizationId: string;
  readonly identifier: Identifier;
  readonly challengeId: string;
  readonly token: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

/** The proof that a requester controls a name: a valid authorization and the evidence that made it valid. */
export interface Proof {
  readonly authorizationId: string;
  readonly identifier: Identifier;
  /** The name that the evidence speaks about, read from the evidence itself and not from the authorization. */
  readonly validated: Identifier;
}

/** Authorizations and their challenges. Statuses are as stored; `expired` is for the reader to see. */
export interface AuthorizationStore {
  /** Valid authorizations of the requester for these identifiers that last beyond `until`; at most one for each. */
  findValid(
    requester: string,
    identifiers: readonly Identifier[],
    until: number,
  ): Promise<Authorization[]>;
  /** How many pending authorizations of the requester last beyond `now`, counted up to `limit`. */
  countPending(requester: string, now: number, limit: number): Promise<number>;
  create(
    requester: string,
    authorizations: readonly NewAuthorization[],
    now: number,
  ): Promise<void>;
  /** Those that exist, in any order. */
  get(authorizationIds: readonly string[]): Promise<Authorization[]>;
  /** pending → processing; false when the challenge or its authorization is not pending any more. */
  startValidation(challengeId: string, keyAuthorization: string, now: number): Promise<boolean>;
  /** pending or valid → deactivated, with its event; false when it was neither. */
  deactivate(authorizationId: string, requester: string, now: number): Promise<boolean>;
}

/** Reads the proofs behind authorizations. */
export interface ProofSource {
  /** Proofs of valid authorizations of this requester that have not expired at `now`, one for each piece of evidence. */
  proofs(authorizationIds: readonly string[], requester: string, now: number): Promise<Proof[]>;
}
