import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { FakeClock } from '@gigvault/time/clock';
import { describe, expect, it } from '@jest/globals';
import { type JWK, type JWTHeaderParameters, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose';
import type { TokenKeys } from './access-token.ts';
import { createAuthenticator } from './authenticator.ts';

const START = Date.parse('2026-11-21T12:00:00Z');
const seconds = START / 1000;
const ISSUER = 'https://localhost:8443';
const AUDIENCE = 'https://localhost:8443/service';
const CLAIMS = {
  iss: ISSUER,
  aud: AUDIENCE,
  sub: 'u1',
  name: 'ada',
  roles: ['approver'],
  tenant: 'default',
  iat: seconds,
  exp: seconds + 900,
};

function keyPair(): { privateKey: KeyObject; jwk: JWK } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { privateKey, jwk: publicKey.export({ format: 'jwk' }) as JWK };
}

function setUp() {
  const clock = new FakeClock(START);
  const first = keyPair();
  const served: { kid: string; jwk: JWK }[] = [{ kid: 'k1', jwk: first.jwk }];
  const state = { fetches: 0, down: false, revokedKeyIds: [] as string[] };
  const authenticator = createAuthenticator({
    clock,
    jwks: async (): Promise<TokenKeys> => {
      state.fetches += 1;
      if (state.down) throw new Error('unreachable');
      const keys = served.map(({ kid, jwk }) => ({ ...jwk, kid, use: 'sig', alg: 'ES256' }));
      const { revokedKeyIds } = state;
      return { jwks: JSON.stringify({ keys }), issuer: ISSUER, audience: AUDIENCE, revokedKeyIds };
    },
  });
  const sign = (
    claims: JWTPayload = CLAIMS,
    header: object = {},
    key: KeyObject | Uint8Array = first.privateKey,
  ) =>
    new SignJWT(claims)
      .setProtectedHeader({
        alg: 'ES256',
        typ: 'at+jwt',
        kid: 'k1',
        ...header,
      } as JWTHeaderParameters)
      .sign(key);
  const authenticate = async (token: string) =>
    authenticator.authenticate({ authorization: `Bearer ${token}`, clientIp: '192.0.2.1' });
  return { clock, served, state, authenticator, sign, authenticate };
}

const INVALID = { code: 'UNAUTHENTICATED', message: 'The access token is invalid.' };
const EXPIRED = { code: 'UNAUTHENTICATED', message: 'The access token is expired.' };

describe('an access token', () => {
  it('gives the principal, with what its roles may do', async () => {
    const { sign, authenticate } = setUp();
    const principal = await authenticate(await sign({ ...CLAIMS, client_id: 'k7' }));
    expect(principal).toMatchObject({
      actor: 'user:u1',
      name: 'ada',
      roles: ['approver'],
      tenantId: 'default',
      credentialId: 'k7',
    });
    expect(principal.permissions.has('csrs:decide')).toBe(true);
    expect(principal.permissions.has('users:manage')).toBe(false);
  });

  it('gives nothing for roles that do not exist, not even those of Object.prototype', async () => {
    const { sign, authenticate } = setUp();
    const principal = await authenticate(
      await sign({ ...CLAIMS, roles: ['constructor', 'root', '__proto__'] }),
    );
    expect(principal.roles).toEqual([]);
    expect(principal.permissions.size).toBe(0);
  });

  it('is refused after its time, with a minute of leeway', async () => {
    const { clock, sign, authenticate } = setUp();
    const token = await sign();
    clock.advance(959_000);
    await expect(authenticate(token)).resolves.toBeDefined();
    clock.advance(2_000);
    await expect(authenticate(token)).rejects.toMatchObject(EXPIRED);
  });

  it('that was verified a moment ago ends as another does', async () => {
    const { clock, state, sign, authenticate } = setUp();
    const token = await sign({ ...CLAIMS, exp: seconds - 57 });
    await authenticate(token);
    clock.advance(2_999);
    await expect(authenticate(token)).resolves.toMatchObject({ actor: 'user:u1' });
    clock.advance(1);
    await expect(authenticate(token)).rejects.toMatchObject(EXPIRED);
    // By the same set of keys, so what was remembered.
    expect(state.fetches).toBe(1);
  });

  it('that was verified is refused once its key is withdrawn, and never with another signature', async () => {
    const { clock, served, sign, authenticate } = setUp();
    const [token, other] = [await sign(), await sign({ ...CLAIMS, sub: 'u2' })];
    await authenticate(token);
    const forged = [...token.split('.').slice(0, 2), other.split('.')[2]].join('.');
    await expect(authenticate(forged)).rejects.toMatchObject(INVALID);
    served.splice(0);
    clock.advance(10_000);
    await expect(authenticate(token)).rejects.toMatchObject(INVALID);
  });

  it('is refused before its nbf', async () => {
    const { sign, authenticate } = setUp();
    await expect(authenticate(await sign({ ...CLAIMS, nbf: seconds + 59 }))).resolves.toBeDefined();
    await expect(authenticate(await sign({ ...CLAIMS, nbf: seconds + 61 }))).rejects.toMatchObject(
      INVALID,
    );
  });
});

// covers: T63
describe('a forged access token', () => {
  it.each([
    ['another issuer', { iss: 'https://evil.example' }],
    ['another audience', { aud: 'https://localhost:8443' }],
    ['no audience', { aud: undefined }],
    ['no expiry', { exp: undefined }],
    ['no subject', { sub: undefined }],
    ['roles that are not a list', { roles: 'admin' }],
    ['no tenant', { tenant: undefined }],
  ])('with %s is refused', async (_name, change) => {
    const { sign, authenticate } = setUp();
    await expect(authenticate(await sign({ ...CLAIMS, ...change }))).rejects.toMatchObject(INVALID);
  });

  it.each(['JWT', 'logout+jwt', undefined])('of type %s is refused', async (typ) => {
    const { sign, authenticate } = setUp();
    await expect(authenticate(await sign(CLAIMS, { typ }))).rejects.toMatchObject(INVALID);
  });

  it('without a signature (alg none) is refused', async () => {
    const { authenticate } = setUp();
    await expect(authenticate(new UnsecuredJWT(CLAIMS).encode())).rejects.toMatchObject(INVALID);
    const header = Buffer.from('{"alg":"none","typ":"at+jwt","kid":"k1"}').toString('base64url');
    const payload = Buffer.from(JSON.stringify(CLAIMS)).toString('base64url');
    await expect(authenticate(`${header}.${payload}.`)).rejects.toMatchObject(INVALID);
  });

  it('signed HS256 with the public key as secret is refused', async () => {
    const { served, sign, authenticate } = setUp();
    const secret = Buffer.from(JSON.stringify(served[0]!.jwk));
    await expect(authenticate(await sign(CLAIMS, { alg: 'HS256' }, secret))).rejects.toMatchObject(
      INVALID,
    );
  });

  it('signed by another key under our kid is refused', async () => {
    const { sign, authenticate } = setUp();
    await expect(authenticate(await sign(CLAIMS, {}, keyPair().privateKey))).rejects.toMatchObject(
      INVALID,
    );
  });

  it.each(['../../../../dev/null', "k1' OR '1'='1", '__proto__', '', '%2e%2e/k1'])(
    'with kid %j is refused',
    async (kid) => {
      const { sign, authenticate } = setUp();
      await expect(authenticate(await sign(CLAIMS, { kid }))).rejects.toMatchObject(INVALID);
    },
  );

  it('that brings its own key (jwk, jku, x5u) is refused, and nothing is fetched for it', async () => {
    const { state, sign, authenticate } = setUp();
    const theirs = keyPair();
    const header = {
      jwk: theirs.jwk,
      jku: 'https://evil.example/jwks.json',
      x5u: 'https://evil.example/c.pem',
    };
    await expect(authenticate(await sign(CLAIMS, header, theirs.privateKey))).rejects.toMatchObject(
      INVALID,
    );
    expect(state.fetches).toBe(1);
  });

  it.each([undefined, '', 'Bearer', 'Bearer a b', 'Bearer ..'])(
    'in the header %j is refused',
    async (authorization) => {
      const { authenticator } = setUp();
      await expect(
        authenticator.authenticate({ authorization, clientIp: '' }),
      ).rejects.toMatchObject({
        code: 'UNAUTHENTICATED',
      });
    },
  );

  it.each(['Basic YTpi', 'Digest username="a"', 'a.b.c', 'bearer-a'])(
    'is not in the header %j, which is told what is taken, and not what it sent',
    async (authorization) => {
      const { authenticator } = setUp();
      const refusal = authenticator.authenticate({ authorization, clientIp: '' });
      await expect(refusal).rejects.toMatchObject({
        code: 'UNAUTHENTICATED',
        message:
          'Send an access token or an API key as Authorization: Bearer, or an API key as X-API-Key.',
      });
    },
  );

  it('that is too long is refused before it is parsed', async () => {
    const { state, authenticate } = setUp();
    await expect(authenticate('a'.repeat(5000))).rejects.toMatchObject(INVALID);
    expect(state.fetches).toBe(0);
  });
});

describe('the keys', () => {
  it('are fetched once for many tokens at the same time', async () => {
    const { state, sign, authenticate } = setUp();
    const token = await sign();
    await Promise.all(Array.from({ length: 20 }, () => authenticate(token)));
    expect(state.fetches).toBe(1);
  });

  it('are fetched again for an unknown kid, but not more than once in 10 s', async () => {
    const { clock, served, state, sign, authenticate } = setUp();
    await authenticate(await sign());
    const second = keyPair();
    const token = await sign(CLAIMS, { kid: 'k2' }, second.privateKey);
    for (let i = 0; i < 5; i++) await expect(authenticate(token)).rejects.toMatchObject(INVALID);
    expect(state.fetches).toBe(1);
    served.push({ kid: 'k2', jwk: second.jwk });
    clock.advance(10_000);
    await Promise.all(Array.from({ length: 5 }, () => authenticate(token)));
    expect(state.fetches).toBe(2);
  });

  it('bring the API keys that were revoked: their tokens are refused within 10 s', async () => {
    const { clock, state, sign, authenticate } = setUp();
    const tokenOf = (client_id: string) => sign({ ...CLAIMS, client_id });
    const [stolen, other] = [await tokenOf('k7'), await tokenOf('k8')];
    await authenticate(stolen);
    state.revokedKeyIds = ['k7'];
    clock.advance(9_999);
    await authenticate(stolen);
    expect(state.fetches).toBe(1);
    clock.advance(1);
    await expect(authenticate(stolen)).rejects.toMatchObject(INVALID);
    await authenticate(other);
    state.down = true;
    clock.advance(10_000);
    await expect(authenticate(stolen)).rejects.toMatchObject(INVALID);
    await authenticate(other);
  });

  it('are fetched again though the time of day was set back', async () => {
    const { clock, state, sign, authenticate } = setUp();
    const stolen = await sign({ ...CLAIMS, client_id: 'k7' });
    await authenticate(stolen);
    state.revokedKeyIds = ['k7'];
    clock.step(-30_000);
    clock.advance(10_000);
    await expect(authenticate(stolen)).rejects.toMatchObject(INVALID);
  });

  it('stay in use when they cannot be fetched again', async () => {
    const { clock, state, sign, authenticate } = setUp();
    await authenticate(await sign());
    state.down = true;
    clock.advance(700_000);
    await expect(authenticate(await sign())).resolves.toBeDefined();
  });

  it('that were never there make it unavailable, not unauthenticated', async () => {
    const { state, sign, authenticate } = setUp();
    state.down = true;
    await expect(authenticate(await sign())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    state.down = false;
    await expect(authenticate(await sign())).resolves.toBeDefined();
  });
});
