import { HTTP_ROUTES, type ServiceContext, WORKERS } from '@gigvault/host/service';
import type { Operation } from '@gigvault/http/route';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { systemClock } from '@gigvault/time/clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import type { Worker } from '@gigvault/time/worker';
import { describe, expect, it } from '@jest/globals';
import type { ValueProvider } from '@nestjs/common';
import { Pool } from 'pg';
import { authConfig } from '../src/auth.config.ts';
import { authService } from '../src/auth.module.ts';

function wired() {
  const context = {
    name: 'auth',
    config: authConfig.parse({}),
    environment: 'development',
    trustDomain: 'gigvault.local',
    publicUrl: 'https://localhost:8443',
    dataDir: '/nowhere',
    database: new Pool({ host: '/nowhere' }),
    clock: systemClock,
    clockGuard: createClockGuard(systemClock),
    log: silentLog,
    metrics: createMetrics(),
    secrets: { resolve: () => Promise.reject(new Error('not asked')) },
    authenticator: { authenticate: () => Promise.reject(new Error('not asked')) },
    client: () => ({}) as never,
  } satisfies ServiceContext<unknown>;
  const { providers } = authService.module(context as never) as { providers: ValueProvider[] };
  return <T>(token: symbol) =>
    providers.find((provider) => provider.provide === token)?.useValue as T;
}

describe('the auth module', () => {
  it('is configured by an empty section, and refuses keys that it does not know', () => {
    expect(authConfig.parse({})).toMatchObject({
      accessTokenLifetime: 900_000,
      setupTokenLifetime: 1_800_000,
      signingKeyId: 'auth-token',
    });
    expect(authConfig.safeParse({ allowAll: true }).success).toBe(false);
    expect(authConfig.safeParse({ accessTokenLifetime: '1d' }).success).toBe(false);
  });

  // covers: G51
  it('hands over its operations; only the two that take a credential as body are anonymous', () => {
    const routes = wired()<Operation[]>(HTTP_ROUTES);
    expect(routes.filter((r) => r.permission === 'anonymous').map((r) => r.path)).toEqual([
      '/token',
      '/setup',
    ]);
    expect(routes.map((r) => `${r.method} ${r.path}`)).toEqual([
      'POST /token',
      'POST /setup',
      'GET /whoami',
      'POST /users',
      'GET /users',
      'GET /users/:user',
      'POST /users/:user/disable',
      'POST /users/:user/setup-token',
      'POST /api-keys',
      'GET /api-keys',
      'DELETE /api-keys/:keyId',
    ]);
  });

  it('hands over its workers', () => {
    const workers = wired()<Worker[]>(WORKERS);
    expect(workers.map((worker) => worker.name).slice(1)).toEqual([
      'auth.signing-key',
      'auth.reap',
      'auth.failures',
    ]);
  });
});
