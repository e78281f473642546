import { createAuthenticator } from '@gigvault/access/authenticator';
import type { Operation } from '@gigvault/http/route';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { decodeJwt } from 'jose';
import { createBootstrapCredentials } from '../src/setup/create-bootstrap-credentials.ts';
import { getJwks } from '../src/tokens/get-jwks.ts';
import { emptyAuth, REVOKED, startAuth } from './auth-setup.ts';

let database: TestDatabase;
let auth: Awaited<ReturnType<typeof startAuth>>;
let operatorKey: string;
let admin: string;

beforeAll(async () => {
  database = await startTestDatabase();
});

afterAll(async () => database?.stop());

beforeEach(async () => {
  auth = await startAuth(database);
  await emptyAuth(database);
  operatorKey = (await createBootstrapCredentials(auth.deps)).operatorApiKey;
  admin = await auth.signIn(operatorKey);
});

const REFUSED = { code: 'UNAUTHENTICATED' };

async function setupToken(
  operation: 'createUser' | 'createSetupToken',
  name: string,
  roles = ['requester'],
) {
  const path = operation === 'createUser' ? '/users' : `/users/${name}/setup-token`;
  const body = operation === 'createUser' ? { name, roles } : undefined;
  const reply = await auth.call(operation, { path, token: admin, body });
  return (reply.body as { setupToken: string }).setupToken;
}

async function redeem(token: string) {
  const reply = await auth.call('redeemSetupToken', { path: '/setup', body: { token } });
  const { apiKey } = reply.body as { apiKey: string };
  return { apiKey, keyId: apiKey.split('_')[2] as string, token: await auth.signIn(apiKey) };
}

const newUser = async (name: string, roles: string[]) =>
  redeem(await setupToken('createUser', name, roles));

const disable = (name: string, token = admin) =>
  auth.call('disableUser', { path: `/users/${name}/disable`, token });

const newKey = (token: string, label = 'x', expiresIn?: number) =>
  auth.call('createApiKey', { path: '/api-keys', token, body: { label, expiresIn } });

// covers: G50, G51, T63
describe('who was shut out', () => {
  it.each([
    ['whoami', '/whoami', undefined],
    ['createUser', '/users', { name: 'back-door', roles: ['admin'] }],
    ['createApiKey', '/api-keys', { label: 'back door' }],
    ['revokeApiKey', '/api-keys/x', undefined],
    ['disableUser', '/users/operator@local/disable', undefined],
  ])('may do nothing more here with a token of before: %s', async (operation, path, body) => {
    const eve = await newUser('eve', ['admin']);
    await disable('eve');
    const asked = auth.call(operation, { path, token: eve.token, body });
    await expect(asked).rejects.toMatchObject({
      ...REFUSED,
      message: 'The access token is invalid.',
    });
  });

  it('is refused elsewhere too within ten seconds, by name and by key, until the tokens have expired', async () => {
    const elsewhere = createAuthenticator({ jwks: () => getJwks(auth.deps), clock: auth.clock });
    const entering = (token: string) =>
      elsewhere.authenticate({ authorization: `Bearer ${token}`, clientIp: '192.0.2.1' });
    const [eve, grace] = [await newUser('eve', ['operator']), await newUser('grace', ['operator'])];
    await entering(eve.token);
    await disable('eve');
    await auth.call('revokeApiKey', { path: `/api-keys/${grace.keyId}`, token: grace.token });
    auth.clock.advance(10_000);
    await expect(entering(eve.token)).rejects.toMatchObject(REFUSED);
    await expect(entering(grace.token)).rejects.toMatchObject(REFUSED);
    await expect(entering(admin)).resolves.toMatchObject({ name: 'operator@local' });
    const ended = [eve.keyId, grace.keyId];
    auth.clock.advance(900_000 + 60_000 - 10_000);
    expect((await getJwks(auth.deps)).revokedKeyIds).toEqual(expect.arrayContaining(ended));
    auth.clock.advance(120_000);
    expect((await getJwks(auth.deps)).revokedKeyIds).not.toEqual(
      expect.arrayContaining([ended[0]]),
    );
  });

  it('by the end of a key cannot make another with its token', async () => {
    const grace = await newUser('grace', ['requester']);
    await auth.call('revokeApiKey', { path: `/api-keys/${grace.keyId}`, token: grace.token });
    await expect(newKey(grace.token)).rejects.toMatchObject(REFUSED);
  });

  it('stays so after the invitation again: neither tokens nor keys of before wake up', async () => {
    const eve = await newUser('eve', ['admin']);
    const second = (await newKey(eve.token)).body as { apiKey: string };
    await disable('eve');
    const again = await setupToken('createSetupToken', 'eve');
    await expect(newKey(eve.token)).rejects.toMatchObject(REFUSED);
    const { token } = await redeem(again);
    await expect(newKey(eve.token)).rejects.toMatchObject(REFUSED);
    for (const old of [eve.apiKey, second.apiKey])
      await expect(auth.signIn(old)).rejects.toMatchObject(REFUSED);
    await expect(newKey(token)).resolves.toMatchObject({ status: 201 });
  });

  it('gets no key that was asked for before: the store refuses it', async () => {
    const eve = await newUser('eve', ['requester']);
    const { sub: userId = '' } = decodeJwt(eve.token);
    await disable('eve');
    const key = { keyId: 'ffffffffffffffff', userId, label: 'x', createdAt: auth.clock.now() };
    const secretHash = Buffer.alloc(32);
    const stored = await auth.deps.apiKeys.create({ ...key, secretHash }, 100, []);
    expect(stored).toBe('user-inactive');
    expect(await auth.deps.apiKeys.find(key.keyId)).toBeUndefined();
  });

  it('has no key left to wake up: the next redemption revokes it and says so', async () => {
    const eve = await newUser('eve', ['requester']);
    await disable('eve');
    await auth.pool.query('UPDATE api_key SET revoked_at = NULL WHERE key_id = $1', [eve.keyId]);
    await redeem(await setupToken('createSetupToken', 'eve'));
    await expect(auth.signIn(eve.apiKey)).rejects.toMatchObject(REFUSED);
    const revoked = await auth.events('apikey.revoked');
    expect(revoked.map(({ subject }) => subject)).toContain(eve.keyId);
  });

  it('is told of with the keys that were revoked', async () => {
    const eve = await newUser('eve', ['requester']);
    await disable('eve');
    expect(await auth.events('user.disabled')).toMatchObject([
      { data: { name: 'eve', revokedKeyIds: [eve.keyId] } },
    ]);
  });

  it('at the same moment as a key is made has no key that works', async () => {
    const eve = await newUser('eve', ['requester']);
    await Promise.allSettled([
      ...Array.from({ length: 8 }, () => newKey(eve.token)),
      disable('eve'),
    ]);
    const left = await auth.pool.query(
      `SELECT 1 FROM api_key k JOIN user_ u USING (user_id) WHERE u.name = 'eve' AND k.revoked_at IS NULL`,
    );
    expect(left.rowCount).toBe(0);
  });
});

// covers: G50
it('a redemption and whoever disables the user at that moment never wait for each other', async () => {
  const token = await setupToken('createUser', 'grace');
  const other = await auth.pool.connect();
  await other.query('BEGIN');
  await other.query('SELECT 1 FROM setup_token WHERE user_id IS NOT NULL FOR UPDATE');
  const redeemed = redeem(token);
  await waitingLocks(1);
  const disabled = disable('grace');
  await waitingLocks(2);
  await other.query('COMMIT');
  other.release();
  const outcomes = await Promise.allSettled([redeemed, disabled]);
  expect(outcomes[1]).toMatchObject({ status: 'fulfilled', value: { status: 200 } });
  if (outcomes[0].status === 'rejected') expect(outcomes[0].reason).toMatchObject(REFUSED);
  const user = await auth.deps.users.find('grace');
  expect(user?.status).toBe('disabled');
});

async function waitingLocks(count: number): Promise<void> {
  const text = `SELECT count(*)::int AS n FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND datname = current_database()`;
  for (let n = 0; n < count; ) n = (await auth.pool.query<{ n: number }>(text)).rows[0]?.n ?? 0;
}

// covers: G50
describe('the last administrator who is active', () => {
  it('cannot be disabled', async () => {
    const ada = await newUser('ada', ['admin']);
    await disable('operator@local', ada.token);
    const { userId } = (await auth.call('whoami', { path: '/whoami', token: ada.token })).body as {
      userId: string;
    };
    await expect(auth.deps.users.disable(userId, auth.clock.now(), () => [])).resolves.toBe(false);
    await expect(auth.signIn(ada.apiKey)).resolves.toBeDefined();
  });

  it('is left when administrators disable each other at the same moment', async () => {
    const ada = await newUser('ada', ['admin']);
    const bea = await newUser('bea', ['admin']);
    await disable('operator@local', ada.token);
    const outcomes = await Promise.allSettled([
      disable('bea', ada.token),
      disable('ada', bea.token),
    ]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const left = await auth.pool.query(`SELECT 1 FROM user_ WHERE status = 'active'`);
    expect(left.rowCount).toBe(1);
  });

  it('is no longer counted on once disabled: the next start brings the operator back', async () => {
    const ada = await newUser('ada', ['admin']);
    await disable('operator@local', ada.token);
    await expect(auth.signIn(operatorKey)).rejects.toMatchObject(REFUSED);
    const invited = auth.call('createSetupToken', {
      path: '/users/operator@local/setup-token',
      token: ada.token,
    });
    await expect(invited).rejects.toMatchObject({ code: 'FORBIDDEN' });
    const { operatorApiKey } = await createBootstrapCredentials(auth.deps);
    await expect(auth.signIn(operatorApiKey)).resolves.toBeDefined();
  });
});

// covers: G52
describe('API keys', () => {
  it('are 100 at most that work, all of them listed, however many came after', async () => {
    const { token, keyId } = await newUser('grace', ['requester']);
    const asked = await Promise.allSettled(Array.from({ length: 102 }, () => newKey(token)));
    expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(99);
    expect(asked.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'FORBIDDEN', message: expect.stringContaining('100 API keys') },
    });
    await auth.pool.query(
      `INSERT INTO api_key (key_id, user_id, secret_hash, label, created_at, revoked_at)
       SELECT 'dead' || n, user_id, secret_hash, label, created_at + interval '1 hour', created_at
       FROM api_key, generate_series(1, 1100) n WHERE key_id = $1`,
      [keyId],
    );
    const listed = await auth.call('listApiKeys', { path: '/api-keys', token });
    const { items } = listed.body as { items: { keyId: string; revokedAt?: string }[] };
    expect(items).toHaveLength(1000);
    expect(items.filter(({ revokedAt }) => revokedAt === undefined)).toHaveLength(100);
    expect(items[0]?.keyId).toMatch(/^dead/);
  });

  it('that stopped to work long ago are deleted, and no others', async () => {
    const { token, keyId, apiKey } = await newUser('grace', ['requester']);
    await newKey(token, 'short', 60);
    const { keyId: revoked } = (await newKey(token, 'revoked')).body as { keyId: string };
    await auth.call('revokeApiKey', { path: `/api-keys/${revoked}`, token });
    await auth.deps.apiKeys.reap(auth.clock.now());
    expect(await auth.deps.apiKeys.find(revoked)).toBeDefined();
    auth.clock.advance(61_000);
    await auth.deps.apiKeys.reap(auth.clock.now());
    const { rows } = await auth.pool.query(
      'SELECT key_id FROM api_key k JOIN user_ USING (user_id) WHERE name = $1',
      ['grace'],
    );
    expect(rows).toEqual([{ key_id: keyId }]);
    await expect(auth.signIn(apiKey)).resolves.toBeDefined();
  });

  it('give no token that outlives them', async () => {
    const { token } = await newUser('grace', ['requester']);
    const made = (await newKey(token, 'short', 60)).body as { apiKey: string };
    const body = { grantType: 'client_credentials', clientSecret: made.apiKey };
    const reply = await auth.call('createToken', { path: '/token', body });
    const { accessToken, expiresIn } = reply.body as { accessToken: string; expiresIn: number };
    expect(expiresIn).toBe(60);
    expect(decodeJwt(accessToken).exp).toBe(auth.clock.now() / 1000 + 60);
  });

  it('have labels without control characters', async () => {
    for (const label of ['a\nb', '\u001b[31mred', 'a\u202eb'])
      await expect(newKey(admin, label)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(newKey(admin, 'Grüße 👩‍💻')).resolves.toMatchObject({ status: 201 });
  });
});

// covers: T63
describe('an API key that is sent as it is', () => {
  const entering = (apiKey: string, clientIp = '192.0.2.1') =>
    auth.door.authenticator.authenticate({ authorization: undefined, apiKey, clientIp });

  it('is taken by every operation, and each minute of its use is told with who took it', async () => {
    const grace = await newUser('grace', ['operator']);
    const reply = await auth.call('whoami', { path: '/whoami', token: grace.apiKey });
    expect(reply.body).toMatchObject({ name: 'grace', roles: ['operator'] });
    await entering(grace.apiKey);
    const used = await auth.events('apikey.used');
    expect(used).toMatchObject([
      { subject: grace.keyId, data: { service: 'ca', roles: ['operator'], clientIp: '192.0.2.1' } },
    ]);
    expect(JSON.stringify(used)).not.toContain(grace.apiKey.slice(-43));
    auth.clock.advance(60_000);
    await entering(grace.apiKey);
    expect(await auth.events('apikey.used')).toHaveLength(2);
  });

  it('ends at once here, and within ten seconds elsewhere: by its own end and by its user’s', async () => {
    const [eve, grace] = [await newUser('eve', ['operator']), await newUser('grace', ['operator'])];
    await Promise.all([entering(eve.apiKey), entering(grace.apiKey)]);
    await disable('eve');
    await auth.call('revokeApiKey', { path: `/api-keys/${grace.keyId}`, token: grace.apiKey });
    for (const { apiKey } of [eve, grace])
      await expect(auth.call('whoami', { path: '/whoami', token: apiKey })).rejects.toMatchObject(
        REFUSED,
      );
    auth.clock.advance(10_000);
    for (const { apiKey } of [eve, grace])
      await expect(entering(apiKey)).rejects.toMatchObject(REFUSED);
  });

  it('shares its failures with POST /token', async () => {
    const grace = await newUser('grace', ['operator']);
    const wrong = grace.apiKey.replace(/.{43}$/, 'C'.repeat(43));
    const from = '198.51.100.7';
    for (let i = 0; i < 5; i++) {
      await expect(entering(wrong, from)).rejects.toMatchObject(REFUSED);
      await expect(auth.signIn(wrong, from)).rejects.toMatchObject(REFUSED);
    }
    const limited = { code: 'RATE_LIMITED', retryAfter: 60 };
    await expect(entering(grace.apiKey, from)).rejects.toMatchObject(limited);
    await expect(auth.signIn(grace.apiKey, from)).rejects.toMatchObject(limited);
    await expect(entering(grace.apiKey)).resolves.toMatchObject({ name: 'grace' });
  });
});

// covers: P7, T63
describe('a client certificate', () => {
  const shown = (name: string, { isRequired = false, serialNumber = '01' } = {}) => {
    return { isRequired, certificate: { name, serialNumber, sha256: name + serialNumber } };
  };
  const entering = (client: ReturnType<typeof shown>, token?: string, clientIp = '192.0.2.1') =>
    auth.door.authenticator.authenticate({
      authorization: token && `Bearer ${token}`,
      clientIp,
      client,
    });

  it('says who asks, by the name of a user who is active, and its use is told', async () => {
    await newUser('grace', ['operator']);
    expect(await entering(shown('grace'))).toMatchObject({ name: 'grace', roles: ['operator'] });
    expect(await auth.events('certificate.used')).toMatchObject([
      { subject: '01', data: { service: 'ca', clientIp: '192.0.2.1', roles: ['operator'] } },
    ]);
    await disable('grace');
    await auth.call('createSetupToken', { path: '/users/grace/setup-token', token: admin });
    auth.clock.advance(10_000);
    await expect(entering(shown('grace'))).rejects.toMatchObject(REFUSED);
  });

  it('of ours that is revoked, or with a user’s id for a name, is refused and told', async () => {
    const grace = await newUser('grace', ['operator']);
    const { sub: userId = '' } = decodeJwt(grace.token);
    for (const client of [shown('grace', { serialNumber: REVOKED }), shown(userId), shown('eve')])
      await expect(entering(client)).rejects.toMatchObject(REFUSED);
    await auth.deps.failures.flush();
    expect(await auth.events('auth.failed')).toMatchObject([
      { subject: 'certificate', data: { count: 3, clientIp: '192.0.2.1' } },
    ]);
  });

  it('makes no key and no user once its user is disabled, and does until then', async () => {
    await newUser('eve', ['admin']);
    const principal = await entering(shown('eve'));
    const route = auth.routes.find(({ operationId }) => operationId === 'listApiKeys') as Operation;
    const listing = () => route.handle({ principal } as never);
    expect(await listing()).toMatchObject({ status: 200 });
    await disable('eve');
    await expect(listing()).rejects.toMatchObject(REFUSED);
  });

  it('where it is required, is of the user whose token or API key it comes with', async () => {
    const grace = await newUser('grace', ['operator']);
    await newUser('eve', ['operator']);
    const required = (name: string) => shown(name, { isRequired: true });
    for (const credential of [grace.token, grace.apiKey]) {
      expect(await entering(required('grace'), credential)).toMatchObject({ name: 'grace' });
      await expect(entering(required('eve'), credential)).rejects.toMatchObject({
        code: 'FORBIDDEN',
      });
    }
    await expect(entering(required('eve'))).rejects.toMatchObject(REFUSED);
    await auth.deps.failures.flush();
    const actor = `user:${decodeJwt(grace.token).sub}`;
    expect(await auth.events('auth.failed')).toMatchObject([
      {
        actor,
        subject: 'certificate',
        data: {
          count: 2,
          certificate: { actor: expect.stringMatching(/^user:/), serialNumber: '01' },
        },
      },
    ]);
    expect(await entering(shown('eve'), grace.token)).toMatchObject({ name: 'grace' });
  });
});

// covers: C53
it('takes fifty sign-ins of one address side by side', async () => {
  const signedIn = Array.from({ length: 50 }, () => auth.signIn(operatorKey));
  await expect(Promise.all(signedIn)).resolves.toHaveLength(50);
});

it('gives nobody a name that reads as the id of another', async () => {
  const { sub = '' } = decodeJwt(admin);
  await expect(setupToken('createUser', sub.toUpperCase())).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
});
