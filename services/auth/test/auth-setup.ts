import { createAuthenticator } from '@gigvault/access/authenticator';
import { createEventLog } from '@gigvault/database/event-log';
import type { Door } from '@gigvault/http/admit';
import { runOperation } from '@gigvault/http/operation';
import type { HttpReply, HttpRequest, Operation } from '@gigvault/http/route';
import type { TestDatabase } from '@gigvault/testkit/test-database';
import { FakeClock } from '@gigvault/time/clock';
import { memoryTokenSigner } from '../src/adapters/memory-token-signer.ts';
import { pgApiKeyStore } from '../src/adapters/pg-api-key-store.ts';
import { pgFailureJournal } from '../src/adapters/pg-failure-journal.ts';
import { pgSetupStore } from '../src/adapters/pg-setup-store.ts';
import { pgUserStore } from '../src/adapters/pg-user-store.ts';
import { authRoutes } from '../src/api/http.ts';
import { authenticateApiKey } from '../src/api-keys/authenticate-api-key.ts';
import { authService } from '../src/auth.module.ts';
import { createFailureLimiter } from '../src/credentials/failure-limiter.ts';
import { createFailureLog } from '../src/credentials/failure-log.ts';
import { getJwks } from '../src/tokens/get-jwks.ts';
import { authenticateCertificate } from '../src/users/authenticate-certificate.ts';

/** What a request of the test says. */
export interface TestRequest {
  readonly path: string;
  readonly body?: unknown;
  readonly token?: string;
  readonly clientIp?: string;
  readonly idempotencyKey?: string;
}

/** The serial number of a certificate that the CA calls revoked. */
export const REVOKED = 'bad0';

/** An event as it lies in the outbox. */
export interface StoredEvent {
  readonly type: string;
  readonly actor: string;
  readonly subject: string;
  readonly data: Record<string, unknown>;
}

/** Empties the tables, as after a migration. Call after startAuth. */
export async function emptyAuth(database: TestDatabase): Promise<void> {
  const owner = database.ownerPool('auth');
  await owner.query('TRUNCATE user_, api_key, setup_token, outbox');
  await owner.query('UPDATE outbox_head SET position = 0');
  await owner.query('UPDATE outbox_consumer SET acknowledged = 0');
  await owner.end();
}

/** The auth service's parts on a real database, with a signing key of its own and a clock that stands still. */
export async function startAuth(database: TestDatabase) {
  const pool = await database.pool('auth', authService.migrations as never);
  const clock = new FakeClock('2026-11-21T12:00:00Z');
  const eventLog = createEventLog({
    pool,
    producer: 'auth',
    consumers: ['audit', 'notify'],
    clock,
  });
  const deps = {
    clock,
    users: pgUserStore(pool, eventLog),
    apiKeys: pgApiKeyStore(pool, eventLog),
    setup: pgSetupStore(pool, eventLog),
    signer: memoryTokenSigner(),
    limiter: createFailureLimiter({ failures: 10, window: 60_000 }, clock),
    failures: createFailureLog(pgFailureJournal(pool, eventLog), clock),
    journal: pgFailureJournal(pool, eventLog),
    revocations: { isRevoked: async (serialNumber: string) => serialNumber === REVOKED },
    names: { issuer: 'https://localhost:8443', audience: 'https://localhost:8443/service' },
    accessTokenLifetime: 900_000,
    setupTokenLifetime: 1_800_000,
    operatorKeyLifetime: 86_400_000,
  };
  const routes = authRoutes(deps) as Operation[];
  const authenticator = createAuthenticator({
    jwks: () => getJwks(deps),
    async identify(apiKey, clientIp) {
      const { key, user } = await authenticateApiKey(deps, { apiKey, clientIp, service: 'ca' });
      return { identity: user, keyId: key.keyId, expiresAt: key.expiresAt ?? 0 };
    },
    certificates: {
      async identifyCertificate(certificate) {
        const presented = { ...certificate, service: 'ca' };
        return { identity: await authenticateCertificate(deps, presented) };
      },
      reportCertificate: async (refused) => deps.failures.recordCertificate(refused),
    },
    clock,
  });

  const door: Door = {
    authenticator,
    tellForbidden: async (_principal, { operation }) => void forbidden.push(operation),
  };
  const forbidden: string[] = [];

  async function call(
    operationId: string,
    { path, body, token, clientIp, idempotencyKey }: TestRequest,
  ): Promise<HttpReply> {
    const route = routes.find((candidate) => candidate.operationId === operationId) as Operation;
    const request = {
      method: route.method,
      url: `https://localhost:8443/service/api/v1${path}`,
      params: paramsOf(route.path, path),
      query: {},
      body: Buffer.from(body === undefined ? '' : JSON.stringify(body)),
      headers: {
        'content-type': 'application/json',
        authorization: token && `Bearer ${token}`,
        'idempotency-key': idempotencyKey,
      },
      clientIp: clientIp ?? '192.0.2.1',
      requestId: 'r',
      traceId: 't',
      signal: new AbortController().signal,
    } satisfies HttpRequest;
    return runOperation(route, request, door);
  }

  async function signIn(apiKey: string, clientIp?: string): Promise<string> {
    const body = { grantType: 'client_credentials', clientSecret: apiKey };
    const reply = await call('createToken', { path: '/token', body, clientIp });
    return (reply.body as { accessToken: string }).accessToken;
  }

  async function events(type: string): Promise<StoredEvent[]> {
    const { events: all } = await eventLog.pull(
      'audit',
      { acknowledged: 0, limit: 1000, waitMs: 0 },
      new AbortController().signal,
    );
    return all
      .filter((event) => event.type === type)
      .map(({ actor, subject, data }) => ({
        type,
        actor,
        subject,
        data: JSON.parse(Buffer.from(data).toString()),
      }));
  }

  return { deps, pool, clock, eventLog, routes, door, forbidden, call, signIn, events };
}

function paramsOf(template: string, path: string): Record<string, string> {
  const values = path.split('/');
  const names = template
    .split('/')
    .map((part, index) => [part.slice(1), values[index] ?? '', part.startsWith(':')] as const);
  return Object.fromEntries(
    names.filter(([, , isParam]) => isParam).map(([name, value]) => [name, value]),
  );
}
