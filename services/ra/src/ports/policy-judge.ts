import type { EvaluateRequest } from '@gigvault/proto/policy/v1/policy';
import type { Decision } from '@gigvault/proto/ra/v1/enrolment';

/** What policy says of a request. */
export interface Judgement {
  readonly decision: Decision;
  /** People that must approve when the outcome is `review`. */
  readonly approvalsNeeded: number;
}

/** Judges requests. */
export interface PolicyJudge {
  judge(request: EvaluateRequest): Promise<Judgement>;
}
