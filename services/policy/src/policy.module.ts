import {
  HEALTH_CHECKS,
  RELOADERS,
  type ServiceContext,
  type ServiceDefinition,
} from '@gigvault/host/service';
import { RPC } from '@gigvault/rpc/contracts';
import { type DynamicModule, Module } from '@nestjs/common';
import { filePolicySource } from './adapters/file-policy-source.ts';
import { POLICY_SOURCE, PolicyRpc } from './api/grpc.ts';
import { type PolicyConfig, policyConfig } from './policy.config.ts';

@Module({})
class PolicyModule {}

/** Judges enrolment requests by YAML policies. */
export const policyService: ServiceDefinition<PolicyConfig> = {
  name: 'policy',
  zone: 'inside',
  config: policyConfig,
  migrations: [],
  serves: [RPC.policy],
  module: policyModule,
};

function policyModule(context: ServiceContext<PolicyConfig>): DynamicModule {
  const source = filePolicySource(context.config.files, context.log);
  const health = {
    name: 'policy.loaded',
    async check() {
      if (source.current().length === 0) throw new Error('no policy is in force');
    },
  };
  return {
    module: PolicyModule,
    controllers: [PolicyRpc],
    providers: [
      { provide: POLICY_SOURCE, useValue: source },
      { provide: RELOADERS, useValue: [{ name: 'policies', reload: source.reload }] },
      { provide: HEALTH_CHECKS, useValue: [health] },
    ],
    exports: [RELOADERS, HEALTH_CHECKS],
  };
}
