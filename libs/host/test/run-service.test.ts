import { setImmediate } from 'node:timers/promises';
import type { EvaluateRequest } from '@gigvault/proto/policy/v1/policy';
import { RPC } from '@gigvault/rpc/contracts';
import { createInProcessBroker } from '@gigvault/rpc/in-process-transport';
import { readPeerTable } from '@gigvault/rpc/peers';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { eventually } from '@gigvault/testkit/eventually';
import { type Clock, FakeClock, systemClock } from '@gigvault/time/clock';
import type { Worker } from '@gigvault/time/worker';
import { describe, expect, it } from '@jest/globals';
import { Controller, type DynamicModule, Module } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import { z } from 'zod';
import { type ProcessHost, runService, STOP_LIMIT } from '../src/run-service.ts';
import { HEALTH_CHECKS, HTTP_ROUTES, type ServiceDefinition, WORKERS } from '../src/service.ts';

const EVALUATE = 'gigvault.policy.v1.PolicyService/Evaluate';

@Controller()
class Policy {
  @GrpcMethod('PolicyService', 'Evaluate')
  evaluate() {
    return { approvalsNeeded: 3 };
  }
}

class PolicyModule {}
Module({})(PolicyModule);

function run(
  module: Partial<DynamicModule>,
  peers = `policy: { ${EVALUATE}: [ra] }`,
  clock: Clock = systemClock,
) {
  const definition: ServiceDefinition = {
    name: 'policy',
    zone: 'inside',
    config: z.unknown(),
    migrations: [],
    serves: [RPC.policy],
    module: () => ({ module: PolicyModule, ...module }),
  };
  const host = {
    environment: 'development',
    trustDomain: 'gigvault.test',
    publicUrl: 'https://localhost:8443',
    peers: readPeerTable(peers),
    clock,
    metrics: createMetrics(),
    dataDir: () => '/nowhere',
    pool: () => undefined,
    log: () => silentLog,
    authenticator: () => undefined,
    client: () => undefined,
  } as unknown as ProcessHost;
  return runService(definition, {}, host);
}

function recorder(events: string[], name: string, failing = false): Worker {
  return {
    name,
    start: async () => void events.push(`start ${name}`),
    async stop() {
      events.push(`stop ${name}`);
      if (failing) throw new Error('it will not stop');
    },
  };
}

describe('a service on a host', () => {
  it('answers its RPCs to the peers that may call them', async () => {
    const service = await run({ controllers: [Policy] });
    const call = {
      rpc: EVALUATE,
      request: {},
      signal: new AbortController().signal,
      requestId: 'r',
      traceId: 'f'.repeat(32),
    };
    expect(await service.table.dispatch({ ...call, peer: 'ra' })).toEqual({ approvalsNeeded: 3 });
    await expect(service.table.dispatch({ ...call, peer: 'crl' })).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
    await service.stop();
  });

  it('hands over what its module provides, and may provide nothing', async () => {
    const route = { kind: 'protocol', path: '/x' };
    const checks = [{ name: 'x', check: async () => undefined }];
    const providers = [
      { provide: HTTP_ROUTES, useValue: [route] },
      { provide: HEALTH_CHECKS, useValue: checks },
    ];
    const full = await run({ controllers: [Policy], providers });
    expect(full.routes).toMatchObject([{ service: 'policy', route }]);
    expect(full.healthChecks).toEqual(checks);
    const bare = await run({ controllers: [Policy] });
    expect([bare.routes, bare.healthChecks]).toEqual([[], []]);
    await Promise.all([full.stop(), bare.stop()]);
  });

  it('does not start with operations that ask for a permission and no log to tell of who lacks it (covers: T63)', async () => {
    const route = { kind: 'operation', permission: 'keys:read' };
    const providers = [{ provide: HTTP_ROUTES, useValue: [route] }];
    await expect(run({ controllers: [Policy], providers })).rejects.toThrow(
      'policy has operations that ask for a permission, and no event log to tell',
    );
  });

  it('starts its workers in order and stops them in reverse, all of them, once', async () => {
    const events: string[] = [];
    const workers = [recorder(events, 'a'), recorder(events, 'b', true), recorder(events, 'c')];
    const providers = [{ provide: WORKERS, useValue: workers }];
    const service = await run({ controllers: [Policy], providers });
    expect(events).toEqual([]);
    await service.startWorkers();
    await Promise.all([service.stop(), service.stop()]);
    expect(events).toEqual(['start a', 'start b', 'start c', 'stop c', 'stop b', 'stop a']);
  });

  it('leaves a worker behind that does not stop', async () => {
    const stuck = {
      name: 'stuck',
      start: async () => undefined,
      stop: () => new Promise<never>(() => undefined),
    };
    const events: string[] = [];
    const providers = [{ provide: WORKERS, useValue: [recorder(events, 'a'), stuck] }];
    const clock = new FakeClock(0);
    const service = await run({ controllers: [Policy], providers }, undefined, clock);
    await service.startWorkers();
    const stopped = service.stop();
    expect(events).toEqual(['start a', 'stop a']);
    clock.advance(STOP_LIMIT);
    await stopped;
  });

  it('waits for a handler whose caller has hung up, since it stands on what is closed next', async () => {
    const events: string[] = [];
    const handler = Promise.withResolvers<void>();
    @Controller()
    class Slow {
      @GrpcMethod('PolicyService', 'Evaluate')
      async evaluate() {
        events.push('asked');
        // Only the first one is slow.
        if (events.length > 1) return {};
        await handler.promise;
        events.push('ended');
        return {};
      }
    }
    const service = await run({ controllers: [Slow] });
    const broker = createInProcessBroker({ encode: false });
    broker.register(service.table);
    const hangUp = new AbortController();
    const answer = broker
      .client('ra', RPC.policy, 'policy')
      .evaluate({} as EvaluateRequest, { signal: hangUp.signal });
    hangUp.abort(new Error('stopping'));
    await expect(answer).rejects.toThrow();
    const stopped = service.stop().then(() => events.push('stopped'));
    // The stop has come as far as the handlers when no more are begun.
    await eventually(() =>
      expect(
        broker.client('ra', RPC.policy, 'policy').evaluate({} as EvaluateRequest),
      ).rejects.toMatchObject({ code: 'METHOD_NOT_ALLOWED' }),
    );
    for (let turn = 0; turn < 10; turn++) await setImmediate();
    expect(events).not.toContain('stopped');
    handler.resolve();
    await stopped;
    expect(events.slice(-2)).toEqual(['ended', 'stopped']);
  });

  it('does not start without a handler for each RPC, or with peers that nobody checked', async () => {
    await expect(run({ controllers: [] })).rejects.toThrow(`policy has no handler for ${EVALUATE}`);
    await expect(run({ controllers: [Policy] }, 'policy: {}')).rejects.toThrow(
      `peers.yaml does not say who may call policy: ${EVALUATE}`,
    );
  });

  it('does not start with a provider that cannot be made', async () => {
    const providers = [
      {
        provide: HTTP_ROUTES,
        useFactory: () => {
          throw new Error('no routes today');
        },
      },
    ];
    await expect(run({ controllers: [Policy], providers })).rejects.toThrow('no routes today');
  });
});
