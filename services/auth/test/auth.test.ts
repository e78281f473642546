import { createHash } from 'node:crypto';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { createBootstrapCredentials } from '../src/setup/create-bootstrap-credentials.ts';
import { emptyAuth, startAuth } from './auth-setup.ts';

let database: TestDatabase;
let auth: Awaited<ReturnType<typeof startAuth>>;
let admin: string;

beforeAll(async () => {
  database = await startTestDatabase();
});

afterAll(async () => database?.stop());

beforeEach(async () => {
  auth = await startAuth(database);
  await emptyAuth(database);
  const { operatorApiKey } = await createBootstrapCredentials(auth.deps);
  admin = await auth.signIn(operatorApiKey);
});

interface Invited {
  readonly userId: string;
  readonly setupToken: string;
  readonly status: string;
}

async function invite(name: string, roles: string[], token = admin): Promise<Invited> {
  const reply = await auth.call('createUser', { path: '/users', token, body: { name, roles } });
  return reply.body as Invited;
}

async function redeem(
  token: string,
  more: object = {},
): Promise<{ userId: string; name: string; roles: string[]; apiKey: string }> {
  const reply = await auth.call('redeemSetupToken', { path: '/setup', body: { token, ...more } });
  return reply.body as never;
}

async function newUser(name: string, roles: string[]) {
  const { setupToken } = await invite(name, roles);
  const { apiKey, userId } = await redeem(setupToken);
  return { userId, apiKey, token: await auth.signIn(apiKey) };
}

const REFUSED = { code: 'UNAUTHENTICATED' };

// covers: G46, G50, X20
describe('bootstrap', () => {
  it('gives the machine operator a key that can do everything, and a token for the first administrator', async () => {
    const { setupToken, operatorApiKey } = await createBootstrapCredentials(auth.deps);
    const token = await auth.signIn(operatorApiKey);
    const who = await auth.call('whoami', { path: '/whoami', token });
    expect(who.body).toMatchObject({ name: 'operator@local', roles: ['admin'] });
    expect(setupToken).toMatch(/^gv_setup_[A-Za-z0-9_-]{43}$/);
    expect(await redeem(setupToken, { name: 'Ada' })).toMatchObject({
      name: 'ada',
      roles: ['admin'],
    });
  });

  it('rotates: the operator key and the unused token of before stop to work', async () => {
    const first = await createBootstrapCredentials(auth.deps);
    const second = await createBootstrapCredentials(auth.deps);
    await expect(auth.signIn(first.operatorApiKey)).rejects.toMatchObject(REFUSED);
    await expect(auth.signIn(second.operatorApiKey)).resolves.toBeDefined();
    await expect(redeem(first.setupToken)).rejects.toMatchObject(REFUSED);
    expect(await auth.events('apikey.revoked')).toHaveLength(2);
  });

  it('makes no token once an administrator exists', async () => {
    const { setupToken } = await createBootstrapCredentials(auth.deps);
    await redeem(setupToken);
    const after = await createBootstrapCredentials(auth.deps);
    expect(after.setupToken).toBe('');
  });

  it('at the same time many times leaves one key and one token that work', async () => {
    const all = await Promise.all(
      Array.from({ length: 5 }, () => createBootstrapCredentials(auth.deps)),
    );
    const signedIn = await Promise.allSettled(all.map((made) => auth.signIn(made.operatorApiKey)));
    expect(signedIn.filter((r) => r.status === 'fulfilled')).toHaveLength(1);
    const redeemed = await Promise.allSettled(
      all.map((made, i) => redeem(made.setupToken, { name: `admin${i}` })),
    );
    expect(redeemed.filter((r) => r.status === 'fulfilled')).toHaveLength(1);
  });

  it('knows no default password and no sample credential', async () => {
    for (const secret of [
      'test-api-key',
      'admin',
      '1234',
      '',
      `gv_key_0000000000000000_${'A'.repeat(43)}`,
    ])
      await expect(auth.signIn(secret)).rejects.toMatchObject(REFUSED);
  });
});

// covers: G50, G51, T63
describe('a setup token', () => {
  it('is redeemed once, by one of many who try at the same time', async () => {
    const { setupToken } = await invite('grace', ['requester']);
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => redeem(setupToken)));
    const wins = tries.filter((result) => result.status === 'fulfilled');
    expect(wins).toHaveLength(1);
    for (const lost of tries.filter((r) => r.status === 'rejected'))
      expect(lost.reason).toMatchObject(REFUSED);
    expect(await auth.events('setup.redeemed')).toHaveLength(1);
    const keys = await auth.pool.query('SELECT count(*)::int AS n FROM api_key WHERE label = $1', [
      'setup',
    ]);
    expect(keys.rows[0].n).toBe(1);
  });

  it('dies after 30 minutes', async () => {
    const { setupToken } = await invite('grace', ['requester']);
    auth.clock.advance(1_800_000);
    await expect(redeem(setupToken)).rejects.toMatchObject(REFUSED);
  });

  it('gives the roles of the invitation, whatever the body says', async () => {
    const { setupToken } = await invite('grace', ['requester']);
    await expect(redeem(setupToken, { roles: ['admin'], userId: 'x' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    const redeemed = await redeem(setupToken, { name: 'root' });
    expect(redeemed).toMatchObject({ name: 'grace', roles: ['requester'] });
    const token = await auth.signIn(redeemed.apiKey);
    await expect(auth.call('listUsers', { path: '/users', token })).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
  });

  it('of the first administrator stays good when the name is taken', async () => {
    await invite('ada', ['requester']);
    const { setupToken } = await createBootstrapCredentials(auth.deps);
    await expect(redeem(setupToken, { name: 'ada' })).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
    await expect(redeem(setupToken, { name: 'bea' })).resolves.toMatchObject({ name: 'bea' });
  });

  it('can be made anew, which ends the old one', async () => {
    const { setupToken, userId } = await invite('grace', ['requester']);
    const again = await auth.call('createSetupToken', {
      path: '/users/grace/setup-token',
      token: admin,
    });
    await expect(redeem(setupToken)).rejects.toMatchObject(REFUSED);
    await expect(redeem((again.body as Invited).setupToken)).resolves.toMatchObject({ userId });
  });

  it('that expired unused is reaped', async () => {
    await invite('grace', ['requester']);
    await auth.deps.setup.reap(auth.clock.now() + 3_600_000);
    const left = await auth.pool.query('SELECT 1 FROM setup_token WHERE redeemed_at IS NULL');
    expect(left.rowCount).toBe(0);
  });
});

// covers: G48, G49, C52, C56, X11
describe('an access token', () => {
  it('is what RFC 9068 says', async () => {
    const { userId, token } = await newUser('grace', ['requester', 'auditor']);
    expect(decodeProtectedHeader(token)).toEqual({
      alg: 'ES256',
      typ: 'at+jwt',
      kid: expect.any(String),
    });
    expect(decodeJwt(token)).toMatchObject({
      iss: 'https://localhost:8443',
      aud: 'https://localhost:8443/service',
      sub: userId,
      name: 'grace',
      roles: ['auditor', 'requester'],
      tenant: 'default',
      client_id: expect.stringMatching(/^[0-9a-f]{16}$/),
      iat: auth.clock.now() / 1000,
      exp: auth.clock.now() / 1000 + 900,
    });
  });

  it('is told of in the audit trail, without the token or the key', async () => {
    const { token, apiKey } = await newUser('grace', ['requester']);
    const { jti, client_id: keyId } = decodeJwt(token);
    const issued = (await auth.events('token.issued')).find((event) => event.subject === jti);
    expect(issued?.data).toMatchObject({ keyId, roles: ['requester'], clientIp: '192.0.2.1' });
    const outbox = await auth.pool.query<{ all: string }>(
      "SELECT string_agg(convert_from(data, 'UTF8'), ' ') AS all FROM outbox",
    );
    expect(outbox.rows[0]?.all).toContain(keyId);
    expect(outbox.rows[0]?.all).not.toContain(apiKey.slice(-43));
    expect(outbox.rows[0]?.all).not.toContain(token.slice(-40));
  });

  it('is not given for a key that is wrong, revoked, expired, or of a disabled user', async () => {
    const grace = await newUser('grace', ['requester']);
    await expect(auth.signIn(`${grace.apiKey.slice(0, -1)}!`)).rejects.toMatchObject(REFUSED);
    await expect(auth.signIn(grace.apiKey.replace(/.{43}$/, 'B'.repeat(43)))).rejects.toMatchObject(
      REFUSED,
    );
    const body = { label: 'short', expiresIn: 60 };
    const made = await auth.call('createApiKey', { path: '/api-keys', token: grace.token, body });
    auth.clock.advance(60_000);
    await expect(auth.signIn((made.body as { apiKey: string }).apiKey)).rejects.toMatchObject(
      REFUSED,
    );
    await auth.call('disableUser', { path: '/users/grace/disable', token: admin });
    await expect(auth.signIn(grace.apiKey)).rejects.toMatchObject(REFUSED);
  });
});

// covers: G51, T63
describe('access', () => {
  it.each(['createUser', 'listUsers', 'getUser', 'disableUser', 'createSetupToken'])(
    '%s needs users:manage',
    async (operation) => {
      const grace = await newUser('grace', ['operator', 'approver', 'requester', 'auditor']);
      const request = {
        path: '/users/grace',
        token: grace.token,
        body: { name: 'eve', roles: ['admin'] },
      };
      await expect(auth.call(operation, request)).rejects.toMatchObject({ code: 'FORBIDDEN' });
      await expect(auth.call(operation, { ...request, token: undefined })).rejects.toMatchObject(
        REFUSED,
      );
    },
  );

  it('to the keys of others is refused as if they were not there', async () => {
    const grace = await newUser('grace', ['operator']);
    const eve = await newUser('eve', ['operator']);
    const keyId = grace.apiKey.split('_')[2];
    const request = { path: `/api-keys/${keyId}`, token: eve.token };
    await expect(auth.call('revokeApiKey', request)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(auth.signIn(grace.apiKey)).resolves.toBeDefined();
    const listed = await auth.call('listApiKeys', { path: '/api-keys', token: eve.token });
    expect(JSON.stringify(listed.body)).not.toContain(keyId);
  });

  it('refuses roles that do not exist and names that are reserved or taken', async () => {
    await expect(invite('grace', ['root'])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(invite('grace', [])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(invite('operator@local', ['admin'])).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(invite("x'; DROP TABLE user_;--", ['admin'])).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await invite('Grace', ['requester']);
    await expect(invite('grace', ['requester'])).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  });

  it('to one’s own account cannot be taken away by oneself', async () => {
    const ada = await newUser('ada', ['admin']);
    const request = { path: '/users/ada/disable', token: ada.token };
    await expect(auth.call('disableUser', request)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });
});

// covers: G52
describe('an API key', () => {
  it('is made once for one Idempotency-Key of one user', async () => {
    const make = (token: string, idempotencyKey: string) =>
      auth.call('createApiKey', { path: '/api-keys', token, idempotencyKey, body: { label: 'x' } });
    const ada = await newUser('ada', ['requester']);
    const { keyId } = (await make(ada.token, 'k')).body as { keyId: string };
    await expect(make(ada.token, 'k')).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      message: expect.stringContaining('Its secret was shown then'),
      details: { key_id: keyId },
    });
    await make(ada.token, 'other');
    await make(admin, 'k');
    const list = await auth.call('listApiKeys', { path: '/api-keys', token: ada.token });
    const { items } = list.body as { items: { label: string }[] };
    expect(items.filter(({ label }) => label === 'x')).toHaveLength(2);
  });

  it('is shown once, listed without its secret, and revoked once', async () => {
    const grace = await newUser('grace', ['requester']);
    const body = { label: 'pipeline', expiresIn: 3600 };
    const made = await auth.call('createApiKey', { path: '/api-keys', token: grace.token, body });
    const { apiKey, keyId } = made.body as { apiKey: string; keyId: string };
    expect(made.headers).toMatchObject({ 'cache-control': 'no-store' });
    await expect(auth.signIn(apiKey)).resolves.toBeDefined();
    const listed = await auth.call('listApiKeys', { path: '/api-keys', token: grace.token });
    expect(listed.body).toMatchObject({
      items: [{ label: expect.any(String) }, { label: expect.any(String) }],
    });
    expect(JSON.stringify(listed.body)).not.toContain(apiKey.slice(-43));
    for (let i = 0; i < 2; i++)
      await auth.call('revokeApiKey', { path: `/api-keys/${keyId}`, token: grace.token });
    await expect(auth.signIn(apiKey)).rejects.toMatchObject(REFUSED);
    expect(await auth.events('apikey.revoked')).toHaveLength(1);
  });

  it('has its hash in the database and nothing else of it', async () => {
    const grace = await newUser('grace', ['requester']);
    const rows = await auth.pool.query<{ key_id: string; secret_hash: Buffer }>(
      'SELECT * FROM api_key',
    );
    const [, , keyId = '', secret = ''] = /^(gv)_key_([^_]+)_(.*)$/.exec(grace.apiKey) ?? [];
    const row = rows.rows.find((candidate) => candidate.key_id === keyId);
    expect(row?.secret_hash).toEqual(createHash('sha256').update(secret).digest());
    expect(Object.values(row ?? {}).filter((value) => String(value).includes(secret))).toEqual([]);
  });
});

describe('users', () => {
  it('are created, listed, found by id and name, and disabled', async () => {
    const { userId, status } = await invite('grace', ['requester']);
    expect(status).toBe('invited');
    const byName = await auth.call('getUser', { path: '/users/grace', token: admin });
    const byId = await auth.call('getUser', { path: `/users/${userId}`, token: admin });
    expect(byName.body).toEqual(byId.body);
    await auth.call('disableUser', { path: '/users/grace/disable', token: admin });
    await auth.call('disableUser', { path: '/users/grace/disable', token: admin });
    expect(await auth.events('user.disabled')).toHaveLength(1);
    const page = await auth.deps.users.list({ limit: 10, after: '' });
    expect(page.map(({ name, status: is }) => [name, is])).toEqual([
      ['grace', 'disabled'],
      ['operator@local', 'active'],
    ]);
    await expect(
      auth.call('getUser', { path: '/users/nobody', token: admin }),
    ).rejects.toMatchObject({ code: 'USER_NOT_FOUND' });
  });

  it('who are active get no setup token: its holder would act in their name', async () => {
    const setup = (name: string) =>
      auth.call('createSetupToken', { path: `/users/${name}/setup-token`, token: admin });
    await newUser('ada', ['admin']);
    await expect(setup('ada')).rejects.toMatchObject({ code: 'CONFLICT' });
    await invite('grace', ['requester']);
    expect((await setup('grace')).body).toMatchObject({ status: 'invited' });
    await auth.call('disableUser', { path: '/users/grace/disable', token: admin });
    expect((await setup('grace')).body).toMatchObject({ status: 'invited' });
  });
});

// covers: C53
describe('guessing', () => {
  it('is stopped after ten failures of one address, for a while, and others go on', async () => {
    const grace = await newUser('grace', ['requester']);
    for (let i = 0; i < 10; i++)
      await expect(auth.signIn('gv_key_x', '198.51.100.7')).rejects.toMatchObject(REFUSED);
    await expect(auth.signIn(grace.apiKey, '198.51.100.7')).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      retryAfter: 60,
    });
    await expect(auth.signIn(grace.apiKey, '198.51.100.8')).resolves.toBeDefined();
    auth.clock.advance(60_000);
    await expect(auth.signIn(grace.apiKey, '198.51.100.7')).resolves.toBeDefined();
  });

  it('is told of in one event, with the address and the count', async () => {
    const grace = await newUser('grace', ['requester']);
    const wrong = grace.apiKey.replace(/.{43}$/, 'C'.repeat(43));
    for (let i = 0; i < 3; i++)
      await expect(auth.signIn(wrong, '198.51.100.7')).rejects.toMatchObject(REFUSED);
    await expect(redeem('gv_setup_nothing')).rejects.toMatchObject(REFUSED);
    await auth.deps.failures.flush();
    await auth.deps.failures.flush();
    const failed = await auth.events('auth.failed');
    expect(
      failed.map(({ subject, data }) => [subject, data['clientIp'], data['count'], data['keyIds']]),
    ).toEqual([
      ['api-key', '198.51.100.7', 3, [grace.apiKey.split('_')[2]]],
      ['setup-token', '192.0.2.1', 1, []],
    ]);
  });
});
