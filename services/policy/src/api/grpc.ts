import type { EvaluateRequest, EvaluateResponse } from '@gigvault/proto/policy/v1/policy';
import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import { evaluatePolicy } from '../evaluation/evaluate-policy.ts';
import type { PolicySource } from '../ports/policy-source.ts';

/** Provider token of the PolicySource. */
export const POLICY_SOURCE = Symbol('POLICY_SOURCE');

/** gigvault.policy.v1.PolicyService. */
@Controller()
export class PolicyRpc {
  private readonly source: PolicySource;

  constructor(@Inject(POLICY_SOURCE) source: PolicySource) {
    this.source = source;
  }

  /** Judges one enrolment request. */
  @GrpcMethod('PolicyService', 'Evaluate')
  async evaluate(request: EvaluateRequest): Promise<EvaluateResponse> {
    return evaluatePolicy(this.source.current(), request);
  }
}
