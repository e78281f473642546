import { RPC } from '@gigvault/rpc/contracts';
import { Controller, Module } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import { z } from 'zod';
import { runServiceProcess } from '../src/service-process.ts';

/** The least that the peer table lets pass for `policy`. */
@Controller()
class Policy {
  @GrpcMethod('PolicyService', 'Evaluate')
  evaluate() {
    return { approvalsNeeded: 0 };
  }
}

@Module({})
class PolicyModule {}

await runServiceProcess({
  name: 'policy',
  zone: 'inside',
  config: z.strictObject({ colour: z.enum(['red', 'green']).default('red') }),
  migrations: [],
  serves: [RPC.policy],
  module: () => ({ module: PolicyModule, controllers: [Policy] }),
});
