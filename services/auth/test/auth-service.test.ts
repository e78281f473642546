import { generateKeyPairSync, sign } from 'node:crypto';
import type { TokenKeys } from '@gigvault/access/access-token';
import { createAuthenticator } from '@gigvault/access/authenticator';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { installedPeerTable } from '@gigvault/host/home';
import { type RunningService, runService } from '@gigvault/host/run-service';
import { runOperation } from '@gigvault/http/operation';
import type { Operation } from '@gigvault/http/route';
import type { SignRequest } from '@gigvault/proto/keymgr/v1/signing';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { systemClock } from '@gigvault/time/clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { authConfig } from '../src/auth.config.ts';
import { authService } from '../src/auth.module.ts';

/** A key manager with the one key that auth asks for. */
function fakeKeymgr() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = {
    keyId: 'auth-token',
    subjectPublicKeyInfo: publicKey.export({ format: 'der', type: 'spki' }),
  };
  let exists = false;
  return {
    async getKey() {
      if (!exists) throw new GigvaultError('KEY_NOT_FOUND', 'no such key');
      return key;
    },
    async generateKey() {
      exists = true;
      return key;
    },
    async sign({ tbs }: SignRequest) {
      return { signature: sign('sha256', tbs, { key: privateKey, dsaEncoding: 'ieee-p1363' }) };
    },
  };
}

let database: TestDatabase;
let service: RunningService;

beforeAll(async () => {
  database = await startTestDatabase();
  const pool = await database.pool('auth', authService.migrations as never);
  const keymgr = fakeKeymgr();
  service = await runService(authService, authConfig.parse({}), {
    environment: 'development',
    trustDomain: 'gigvault.local',
    publicUrl: 'https://localhost:8443',
    peers: installedPeerTable(),
    clock: systemClock,
    clockGuard: createClockGuard(systemClock),
    metrics: createMetrics(),
    secrets: { resolve: () => Promise.reject(new Error('not used')) },
    dataDir: () => '/nowhere',
    pool: () => pool,
    log: () => silentLog,
    authenticator: () =>
      createAuthenticator({
        jwks: () => rpc('audit', 'GetJwks') as Promise<TokenKeys>,
        clock: systemClock,
      }),
    client: () => keymgr as never,
  });
  await service.startWorkers();
});

afterAll(async () => {
  await service?.stop();
  await database?.stop();
});

function rpc(peer: 'audit' | 'gigvault', method: string): Promise<object> {
  return service.table.dispatch({
    peer,
    rpc: `gigvault.auth.v1.TokenService/${method}`,
    request: {},
    signal: new AbortController().signal,
    requestId: 'r',
    traceId: '',
  });
}

async function http(
  operationId: string,
  body: object,
  authorization?: string,
): Promise<Record<string, unknown>> {
  const mounted = service.routes.find(
    ({ route }) => (route as Operation).operationId === operationId,
  );
  const request = {
    method: 'POST',
    url: '',
    params: {},
    query: {},
    body: Buffer.from(JSON.stringify(body)),
    headers: { 'content-type': 'application/json', authorization },
    clientIp: '192.0.2.1',
    requestId: 'r',
    traceId: 't',
    signal: new AbortController().signal,
  };
  const reply = await runOperation(mounted?.route as Operation, request, mounted!.door);
  return reply.body as Record<string, unknown>;
}

// covers: G46, G49, T61
describe('the auth service', () => {
  it('gives bootstrap credentials to the composition root alone', async () => {
    await expect(rpc('audit', 'CreateBootstrapCredentials')).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
    await expect(rpc('gigvault', 'GetJwks')).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });

  it('signs people in with tokens that others verify by themselves', async () => {
    const { operatorApiKey } = (await rpc('gigvault', 'CreateBootstrapCredentials')) as {
      operatorApiKey: string;
    };
    const { accessToken } = await http('createToken', {
      grantType: 'client_credentials',
      clientSecret: operatorApiKey,
    });
    const me = await http('whoami', {}, `Bearer ${accessToken}`);
    expect(me).toMatchObject({ name: 'operator@local', roles: ['admin'], tenantId: 'default' });
  });

  it('is healthy when it has its signing key', async () => {
    await Promise.all(service.healthChecks.map((health) => health.check()));
    expect(service.healthChecks.map((health) => health.name)).toEqual(['signing-key']);
  });
});
