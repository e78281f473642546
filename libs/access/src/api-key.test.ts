import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { FakeClock } from '@gigvault/time/clock';
import { describe, expect, it } from '@jest/globals';
import { createAuthenticator } from './authenticator.ts';

const KEY = `gv_key_0123456789abcdef_${'s'.repeat(43)}`;
const ADA = { userId: 'u1', name: 'ada', roles: ['operator'], tenantId: 'default' };
const START = Date.parse('2026-11-21T12:00:00Z');

function setUp() {
  const clock = new FakeClock(START);
  const state = {
    asked: [] as string[],
    reported: [] as string[],
    down: false,
    revoked: [] as string[],
    expiresAt: 0,
  };
  const authenticator = createAuthenticator({
    clock,
    async jwks() {
      const revokedKeyIds = [...state.revoked];
      return { jwks: '{"keys":[]}', issuer: 'i', audience: 'a', revokedKeyIds };
    },
    async identify(apiKey, clientIp) {
      state.asked.push(clientIp);
      if (state.down) throw new GigvaultError('UNAVAILABLE', 'down');
      if (apiKey !== KEY) throw new GigvaultError('UNAUTHENTICATED', 'The API key is not valid.');
      return { identity: ADA, keyId: 'k7', expiresAt: state.expiresAt };
    },
    reportCredential: async (kind, clientIp) => state.reported.push(`${kind} ${clientIp}`),
  });
  const enter = (apiKey = KEY, clientIp = '192.0.2.1') =>
    authenticator.authenticate({ authorization: `Bearer ${apiKey}`, clientIp });
  return { clock, state, authenticator, enter };
}

const REFUSED = { code: 'UNAUTHENTICATED', message: 'The API key is not valid.' };

describe('an API key', () => {
  it('that is refused without asking is reported; of one that auth refuses auth knows', async () => {
    const { state, enter } = setUp();
    await expect(enter(KEY.replace('s', 't'))).rejects.toMatchObject(REFUSED);
    expect(state.reported).toEqual([]);
    await expect(enter(KEY.padEnd(201, 's'))).rejects.toMatchObject(REFUSED);
    state.expiresAt = START;
    await expect(enter()).rejects.toMatchObject(REFUSED);
    const here = 'api-key 192.0.2.1';
    expect(state.reported).toEqual([here, here]);
  });

  it('gives the principal, by either header', async () => {
    const { authenticator, enter } = setUp();
    const principal = await enter();
    expect(principal).toMatchObject({
      actor: 'user:u1',
      name: 'ada',
      roles: ['operator'],
      tenantId: 'default',
      credentialId: 'k7',
    });
    expect(principal.permissions.has('keys:sign')).toBe(true);
    const byHeader = { authorization: undefined, apiKey: KEY, clientIp: '192.0.2.1' };
    expect(await authenticator.authenticate(byHeader)).toEqual(principal);
  });

  it('is asked about once a minute, once for many at the same time', async () => {
    const { clock, state, enter } = setUp();
    await Promise.all(Array.from({ length: 20 }, () => enter()));
    clock.advance(59_999);
    await enter();
    expect(state.asked).toHaveLength(1);
    clock.advance(1);
    await enter();
    expect(state.asked).toHaveLength(2);
  });

  it('is refused within 10 s of its revocation, also while auth cannot be reached', async () => {
    const { clock, state, enter } = setUp();
    await enter();
    state.revoked = ['k7'];
    clock.advance(9_999);
    await enter();
    clock.step(-60_000);
    clock.advance(1);
    await expect(enter()).rejects.toMatchObject(REFUSED);
    state.down = true;
    await expect(enter()).rejects.toMatchObject(REFUSED);
  });

  it('ends when it expires', async () => {
    const { clock, state, enter } = setUp();
    state.expiresAt = START + 5_000;
    await enter();
    clock.advance(5_000);
    await expect(enter()).rejects.toMatchObject(REFUSED);
  });

  it('that is refused is asked about each time, so that auth can count its failures', async () => {
    const { state, enter } = setUp();
    const wrong = KEY.replace('sss', 'ttt');
    for (let i = 0; i < 3; i++) await expect(enter(wrong)).rejects.toMatchObject(REFUSED);
    await Promise.allSettled([enter(wrong, '192.0.2.2'), enter(wrong, '192.0.2.3')]);
    expect(state.asked).toEqual([...Array(3).fill('192.0.2.1'), '192.0.2.2', '192.0.2.3']);
  });

  it('of which nothing is known is unavailable, not refused, while auth cannot be reached', async () => {
    const { state, enter } = setUp();
    state.down = true;
    await expect(enter()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('covers: T66. is nowhere in what is remembered of it', async () => {
    const { clock, authenticator, enter } = setUp();
    await enter();
    clock.advance(1);
    const { inspect } = await import('node:util');
    const seen = inspect(authenticator, { depth: null, showHidden: true });
    expect(seen).not.toContain(KEY.slice(-43));
  });
});

describe('covers: T63. credentials', () => {
  it('are one: two are refused, whichever they are', async () => {
    const { authenticator, state } = setUp();
    for (const authorization of [`Bearer ${KEY}`, 'Bearer a.b.c', 'Basic YTpi']) {
      const both = { authorization, apiKey: KEY, clientIp: '' };
      await expect(authenticator.authenticate(both)).rejects.toMatchObject({
        code: 'UNAUTHENTICATED',
      });
    }
    expect(state.asked).toEqual([]);
  });

  it.each(['', 'a.b.c', 'admin', 'GV_KEY_1', `x${KEY}`])(
    'X-API-Key %j is no API key',
    async (apiKey) => {
      const { authenticator, state } = setUp();
      const sent = { authorization: undefined, apiKey, clientIp: '' };
      await expect(authenticator.authenticate(sent)).rejects.toMatchObject({
        code: 'UNAUTHENTICATED',
      });
      expect(state.asked).toEqual([]);
    },
  );

  it('that are too long are refused before anybody is asked', async () => {
    const { state, enter } = setUp();
    await expect(enter(`gv_key_${'a'.repeat(1000)}`)).rejects.toMatchObject(REFUSED);
    expect(state.asked).toEqual([]);
  });
});
