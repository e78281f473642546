import { readFileSync } from 'node:fs';
import { RPC } from '@gigvault/rpc/contracts';
import { Controller, Module } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import { z } from 'zod';
import { RELOADERS, type ServiceContext } from '../src/service.ts';
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
  config: z.strictObject({
    colour: z.enum(['red', 'green']).default('red'),
    /** A file that is read again. */
    rules: z.string().optional(),
  }),
  migrations: [],
  serves: [RPC.policy],
  module: ({ config, log }: ServiceContext<{ rules?: string | undefined }>) => {
    const rules = {
      name: 'rules',
      reload() {
        const text = config.rules ? readFileSync(config.rules, 'utf8') : '';
        if (text === 'broken') throw new Error('these are no rules');
        log.debug({ text }, 'rules read');
      },
    };
    const providers = [{ provide: RELOADERS, useValue: [rules] }];
    return { module: PolicyModule, controllers: [Policy], providers };
  },
});
