import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { PolicyService } from '@gigvault/proto/policy/v1/policy';
import type { Client } from '@gigvault/rpc/call';
import type { PolicyJudge } from '../ports/policy-judge.ts';

/** The `policy` service. An answer without a decision is no answer. */
export function rpcPolicyJudge(policy: Client<PolicyService>): PolicyJudge {
  return {
    async judge(request) {
      const { decision, approvalsNeeded } = await policy.evaluate(request);
      if (!decision) throw new GigvaultError('INTERNAL', 'Policy gave no decision.');
      return { decision, approvalsNeeded };
    },
  };
}
