import { Resolver } from 'node:dns';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { systemClock } from '@gigvault/time/clock';
import { describe, expect, it } from '@jest/globals';
import { Pool } from 'pg';
import { type EnrolmentApi, EnrolmentRpc } from '../src/api/grpc.ts';
import { raConfig } from '../src/ra.config.ts';
import { raService } from '../src/ra.module.ts';
import { codeOf, submission } from './fixtures.ts';

const context = (environment: 'development' | 'production', config: object) =>
  ({
    environment,
    config: raConfig.parse(config),
    database: new Pool(),
    clock: systemClock,
    log: silentLog,
    metrics: createMetrics(),
    client: () => ({}),
  }) as unknown as Parameters<typeof raService.module>[0];

describe('configuration', () => {
  it('has a default for everything', () => {
    expect(raConfig.parse(undefined)).toEqual({
      allowedNetworks: [],
      dnsServers: [],
      authorizationValidity: 30 * 86_400_000,
      pendingAuthorizationValidity: 7 * 86_400_000,
      maxPendingAuthorizations: 3_000,
      validationTimeout: 10_000,
      validationConcurrency: 32,
      approvals: 1,
      pendingRequestValidity: 30 * 86_400_000,
    });
  });

  it.each([
    { allowedNetworks: ['10.0.0/8'] },
    { allowedNetworks: ['intranet'] },
    { http01Port: 0 },
    { dnsServers: ['ns.example'] },
    { dnsServers: ['192.0.2.53:0'] },
    { dnsServers: ['2001:db8::53:70000'] },
    { dnsServers: ['[2001:db8::53]:70000'] },
    { authorizationValidity: 'long' },
    { unknown: 1 },
  ])('refuses %j', (config) => {
    expect(raConfig.safeParse(config).success).toBe(false);
  });

  it.each(['192.0.2.53', '192.0.2.53:5353', '2001:db8::53', '[2001:db8::53]:5353'])(
    'takes the DNS server %s',
    (server) => {
      const { dnsServers } = raConfig.parse({ dnsServers: [server] });
      expect(() => new Resolver().setServers(dnsServers)).not.toThrow();
    },
  );

  it('lets the http-01 port be set in development only', async () => {
    const moved = await raService.module(context('development', { http01Port: 5002 }));
    expect(moved.controllers).toHaveLength(3);
    expect((await raService.module(context('production', {}))).controllers).toHaveLength(3);
    expect(() => raService.module(context('production', { http01Port: 5002 }))).toThrow(
      /ra.http01Port/,
    );
  });
});

describe('a taken-over edge', () => {
  const rpc = new EnrolmentRpc({
    requests: { find: async () => undefined },
  } as unknown as EnrolmentApi);
  const submitAs = (peer: string, change: Parameters<typeof submission>[0]) =>
    codeOf(
      rpc.submitRequest(
        submission({ certificationRequest: Buffer.alloc(0), ...change }),
        undefined,
        { peer } as never,
      ),
    );

  it('cannot pass itself off as an operator (covers: T61)', async () => {
    expect(await submitAs('enroll', {})).toBe('FORBIDDEN');
    expect(await submitAs('enroll', { protocol: 'acme' })).toBe('FORBIDDEN');
    expect(
      await submitAs('enroll', { protocol: 'acme', requester: 'acme:1', roles: ['admin'] }),
    ).toBe('FORBIDDEN');
    expect(await submitAs('enroll', { protocol: 'acme', requester: 'acme:1', roles: [] })).toBe(
      'BAD_CSR',
    );
    expect(await submitAs('gigvault', {})).toBe('BAD_CSR');
    const check = rpc.checkRequest(submission(), undefined, { peer: 'enroll' } as never);
    expect(await codeOf(check)).toBe('FORBIDDEN');
  });
});
