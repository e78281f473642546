import { type HttpServer, startHttpServer } from '@gigvault/http/http-server';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createBootstrapCredentials } from '../src/setup/create-bootstrap-credentials.ts';
import { startAuth } from './auth-setup.ts';

let database: TestDatabase;
let server: HttpServer;
let auth: Awaited<ReturnType<typeof startAuth>>;
let secret: string;

beforeAll(async () => {
  database = await startTestDatabase();
  auth = await startAuth(database);
  secret = (await createBootstrapCredentials(auth.deps)).operatorApiKey;
  const { routes, door } = auth;
  server = await startHttpServer({
    listeners: ['public'],
    host: '127.0.0.1',
    port: 0,
    baseUrl: 'http://localhost',
    behindProxy: false,
    routes: routes.map((route) => ({ service: 'auth', route, door })),
    log: silentLog,
    metrics: createMetrics(),
  });
});

afterAll(async () => {
  await server?.stop(100);
  await database?.stop();
});

const GRANT = { grant_type: 'client_credentials' };

function post(
  fields: Record<string, string> | string,
  headers: Record<string, string> = {},
  query = '',
) {
  return fetch(`http://127.0.0.1:${server.port}/service/api/v1/token${query}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: typeof fields === 'string' ? fields : new URLSearchParams(fields).toString(),
  });
}

const basic = (id: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${id}:${password}`).toString('base64')}`,
});

async function accessTokenOf(answer: Response): Promise<string> {
  expect(answer.status).toBe(200);
  expect(answer.headers.get('cache-control')).toBe('no-store');
  expect(answer.headers.get('pragma')).toBe('no-cache');
  const body = (await answer.json()) as Record<string, unknown>;
  expect(body).toEqual({
    access_token: expect.any(String),
    token_type: 'Bearer',
    expires_in: 900,
  });
  return String(body['access_token']);
}

// covers: C56
describe('POST /token with a form (RFC 6749)', () => {
  it('takes the API key as the client secret, whatever the client id', async () => {
    for (const id of ['', '&client_id=', '&client_id=pipeline']) {
      const form = `grant_type=client_credentials&client_secret=${secret}${id}`;
      const token = await accessTokenOf(await post(form));
      const me = await auth.call('whoami', { path: '/whoami', token });
      expect(me.body).toMatchObject({ name: 'operator@local' });
    }
  });

  it('takes it by HTTP Basic, form-encoded or not (§2.3.1)', async () => {
    await accessTokenOf(await post(GRANT, basic('pipeline', secret)));
    await accessTokenOf(await post(GRANT, basic('', secret.replaceAll('_', '%5F'))));
  });

  it('ignores fields that it does not know (§3.2)', async () => {
    await accessTokenOf(await post({ ...GRANT, client_secret: secret, resource: 'x', scope: '' }));
    await accessTokenOf(await post({ ...GRANT, client_secret: secret }, {}, '?resource=x'));
  });

  it.each([
    ['a wrong secret', { ...GRANT, client_secret: 'x' }, {}, 401, 'invalid_client'],
    ['no secret', GRANT, {}, 401, 'invalid_client'],
    ['a wrong password', GRANT, basic('a', 'b'), 401, 'invalid_client'],
    ['an unreadable header', GRANT, { authorization: 'Basic *' }, 401, 'invalid_client'],
    ['another grant', { grant_type: 'password' }, {}, 400, 'unsupported_grant_type'],
    ['no grant', { client_secret: 'x' }, {}, 400, 'invalid_request'],
    ['a scope', { ...GRANT, client_secret: 'x', scope: 'admin' }, {}, 400, 'invalid_scope'],
    ['a field twice', 'grant_type=a&grant_type=b', {}, 400, 'invalid_request'],
    ['two secrets', { ...GRANT, client_secret: 'x' }, basic('a', 'b'), 400, 'invalid_request'],
    ['a NUL', `grant_type=client_credentials&client_secret=%00`, {}, 401, 'invalid_client'],
    ['a huge form', `grant_type=${'x'.repeat(200_000)}`, {}, 413, 'invalid_request'],
  ])('refuses %s in OAuth\u2019s words (§5.2)', async (_what, fields, headers, status, error) => {
    const answer = await post(fields, headers);
    const body = (await answer.json()) as { error: string; error_description: string };
    expect([answer.status, body]).toEqual([
      status,
      { error, error_description: expect.stringMatching(/^[\x20\x21\x23-\x5b\x5d-\x7e]{5,}$/) },
    ]);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    if (status === 401) expect(answer.headers.get('www-authenticate')).toMatch(/^Basic /);
  });

  it('takes JSON as before, and refuses it with a problem document', async () => {
    const json = { 'content-type': 'application/json' };
    const ask = (clientSecret: string) =>
      post(JSON.stringify({ grantType: 'client_credentials', clientSecret }), json);
    const answer = await ask(secret);
    expect(await answer.json()).toMatchObject({ tokenType: 'Bearer', expiresIn: 900 });
    const refused = await ask('x');
    expect(refused.status).toBe(401);
    expect(refused.headers.get('content-type')).toBe('application/problem+json');
  });

  it('names both media types to who sends a third', async () => {
    const answer = await post('<grant/>', { 'content-type': 'text/xml' });
    expect(answer.status).toBe(415);
    expect(await answer.json()).toMatchObject({
      detail:
        'Send the body as application/json or application/x-www-form-urlencoded, not text/xml.',
    });
  });

  it('waits after too many failures, and says for how long', async () => {
    let answer = await post({ ...GRANT, client_secret: 'x' });
    for (let i = 0; i < 10 && answer.status === 401; i += 1)
      answer = await post({ ...GRANT, client_secret: 'x' });
    expect(answer.status).toBe(429);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await answer.json()).toMatchObject({ error: 'temporarily_unavailable' });
  });
});
