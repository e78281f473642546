/** Problem types of a failed validation, after `urn:ietf:params:acme:error:` (RFC 8555 §6.7). */
export type ChallengeProblemType =
  | 'connection'
  | 'dns'
  | 'unauthorized'
  | 'tls'
  | 'incorrectResponse'
  | 'serverInternal';

/** Why a name could not be validated, in words for the person who runs its server. */
export class ChallengeFailure extends Error {
  override readonly name = 'ChallengeFailure';
  readonly type: ChallengeProblemType;
  /** Whether the same attempt may succeed in a moment: the server was not reached at all. */
  readonly retry: boolean;

  constructor(
    type: ChallengeProblemType,
    detail: string,
    more: { retry?: boolean; cause?: unknown } = {},
  ) {
    super(detail, more.cause === undefined ? {} : { cause: more.cause });
    this.type = type;
    this.retry = more.retry ?? false;
  }
}

/** The problem document of a challenge (RFC 8555 §7.1.4, RFC 7807). */
export interface ChallengeProblem {
  readonly type: string;
  readonly detail: string;
  readonly status: number;
}

/** The failure as ACME tells it. */
export function toChallengeProblem(failure: ChallengeFailure): ChallengeProblem {
  const status = {
    unauthorized: 403,
    incorrectResponse: 403,
    serverInternal: 500,
    connection: 400,
    dns: 400,
    tls: 400,
  };
  return {
    type: `urn:ietf:params:acme:error:${failure.type}`,
    detail: failure.message,
    status: status[failure.type],
  };
}
