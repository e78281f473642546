import { silentLog } from '@gigvault/telemetry/log';
import { FakeClock, systemClock } from '@gigvault/time/clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { reaper } from '../src/adapters/reaper.ts';
import { createAuthorizations } from '../src/authorization/create-authorizations.ts';
import { deactivateAuthorization } from '../src/authorization/deactivate-authorization.ts';
import { readAuthorizations } from '../src/authorization/read-authorizations.ts';
import {
  ALL,
  type AuthorizationFixture,
  MAX_PENDING,
  startAuthorizationFixture,
} from './authorization-fixture.ts';
import { codeOf, eventually } from './fixtures.ts';

const THUMBPRINT = '9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI';
const DAY = 86_400_000;

let fixture: AuthorizationFixture;
beforeAll(async () => {
  fixture = await startAuthorizationFixture();
});
afterEach(() => fixture.reset());
afterAll(() => fixture.stop());

describe('creating authorizations', () => {
  it('makes one pending authorization for each name, in order, and shares it between equal names', async () => {
    const { order, requester } = fixture.setUp();
    const made = await order('b.localhost', 'A.localhost', 'a.localhost');
    expect(made.map(({ identifier }) => identifier?.value)).toEqual([
      'b.localhost',
      'a.localhost',
      'a.localhost',
    ]);
    expect(made[1]?.authorizationId).toBe(made[2]?.authorizationId);
    const { challenges, ...rest } = made[0]!;
    expect(rest).toMatchObject({ requester, status: 'pending' });
    expect(challenges).toEqual([
      expect.objectContaining({ type: 'http-01', status: 'pending', error: '' }),
    ]);
    expect(Buffer.from(challenges[0]!.token, 'base64url')).toHaveLength(32);
  });

  it('refuses more than may be pending, and makes room when some are settled', async () => {
    const clock = new FakeClock('2027-01-01T00:00:00Z');
    const { deps, order, requester } = fixture.setUp(clock);
    const names = (from: number, count: number) =>
      Array.from({ length: count }, (_, i) => `n${from + i}.localhost`);
    const made = await order(...names(0, 100));
    await order(...names(100, 20));
    const full = order('one.localhost');
    await expect(full).rejects.toMatchObject({ code: 'RATE_LIMITED', retryAfter: 3600 });
    await expect(full).rejects.toThrow(String(MAX_PENDING));
    const another = {
      requester: 'acme:another',
      identifiers: [{ type: 'dns', value: 'x.localhost' }],
    };
    expect(await createAuthorizations(deps, another)).toHaveLength(1);
    const { authorizationId } = made[0]!;
    await deactivateAuthorization(deps, { authorizationId, requester });
    await order('one.localhost');
    expect(await codeOf(order('two.localhost'))).toBe('RATE_LIMITED');
    clock.advance(7 * DAY);
    await order('two.localhost');
  });

  it('counts them by an index', async () => {
    const client = await fixture.ra.pool.connect();
    try {
      await client.query('SET enable_seqscan = off');
      const { rows } = await client.query<{ 'QUERY PLAN': string }>(
        "EXPLAIN SELECT 1 FROM authorization_ WHERE requester = 'a' AND status = 'pending' AND expires_at > 1 LIMIT 1",
      );
      expect(JSON.stringify(rows)).toContain('authorization_pending');
    } finally {
      client.release(true);
    }
  });

  it('refuses each bad name on its own (covers: T24, T25)', async () => {
    const { deps, requester } = fixture.setUp();
    const values = [
      'a.localhost',
      'a\u0000.localhost',
      '*.a.localhost',
      'under_score.example',
      '10.0.0.1',
      'single',
      '4.3.2.1.in-addr.arpa',
    ];
    const identifiers = values.map((value) => ({ type: 'dns', value }));
    const refusal = createAuthorizations(deps, { requester, identifiers });
    await expect(refusal).rejects.toMatchObject({
      code: 'REJECTED_IDENTIFIER',
      problems: [1, 2, 3, 4, 5, 6].map((index) => ({
        pointer: `/identifiers/${index}`,
        message: expect.any(String),
      })),
      details: { '/identifiers/2': 'dns:*.a.localhost' },
    });
    await expect(refusal).rejects.toThrow(/wildcards need dns-01/);
  });

  it('tells unsupported types from refused names', async () => {
    const { deps, requester } = fixture.setUp();
    const create = (type: string, value: string) =>
      codeOf(createAuthorizations(deps, { requester, identifiers: [{ type, value }] }));
    expect(await create('email', 'a@b.example')).toBe('UNSUPPORTED_IDENTIFIER');
    expect(await create('ip', '127.0.0.1')).toBe('REJECTED_IDENTIFIER');
    expect(await create('ip', '10.1.2.3')).toBe('REJECTED_IDENTIFIER');
    expect(await create('ip', 'fd00::1')).toBe('REJECTED_IDENTIFIER');
    expect(await create('ip', '0x7f.1')).toBe('REJECTED_IDENTIFIER');
    expect(await create('ip', '2606:4700:0:0::1111')).toMatchObject([
      { identifier: { type: 'ip', value: '2606:4700::1111' } },
    ]);
    expect(await codeOf(createAuthorizations(deps, { requester, identifiers: [] }))).toBe(
      'INVALID_ARGUMENT',
    );
  });

  it('refuses local names in the strict profile', async () => {
    const { deps, requester } = fixture.setUp();
    const strict = { ...deps, rules: { development: false, allowedNetworks: [] } };
    const identifiers = [{ type: 'dns', value: 'a.localhost' }];
    expect(await codeOf(createAuthorizations(strict, { requester, identifiers }))).toBe(
      'REJECTED_IDENTIFIER',
    );
  });
});

describe("authorizations are the requester's own", () => {
  it('and nobody else may respond or deactivate', async () => {
    const { order, respond, deps } = fixture.setUp();
    const [made] = await order('a.localhost');
    expect(await codeOf(respond(made!, 'acme:somebody-else'))).toBe('FORBIDDEN');
    const deactivation = {
      authorizationId: made!.authorizationId,
      requester: 'acme:somebody-else',
    };
    expect(await codeOf(deactivateAuthorization(deps, deactivation))).toBe('FORBIDDEN');
  });

  it('and a key authorization must fit the token', async () => {
    const { order, respond } = fixture.setUp();
    const [made] = await order('a.localhost');
    expect(await codeOf(respond(made!, made!.requester, 'short'))).toBe('BAD_KEY_AUTHORIZATION');
    expect(await codeOf(respond(made!, made!.requester, `${THUMBPRINT}.more`))).toBe(
      'BAD_KEY_AUTHORIZATION',
    );
    const challenges = [{ ...made!.challenges[0]!, token: 'another' }];
    expect(await codeOf(respond({ ...made!, challenges }))).toBe('BAD_KEY_AUTHORIZATION');
  });

  it('and what does not exist is not found', async () => {
    const { deps } = fixture.setUp();
    for (const id of [
      '00000000-0000-4000-8000-000000000000',
      'not-a-uuid',
      "'; DROP TABLE challenge; --",
    ]) {
      expect(await codeOf(readAuthorizations(deps, [id]))).toBe('AUTHORIZATION_NOT_FOUND');
    }
    expect(await codeOf(readAuthorizations(deps, []))).toBe('INVALID_ARGUMENT');
  });
});

describe('time', () => {
  it('expires pending authorizations, which cannot be validated any more', async () => {
    const clock = new FakeClock('2026-11-21T00:00:00Z');
    const { order, get, respond } = fixture.setUp(clock);
    const [made] = await order('a.localhost');
    clock.advance(7 * DAY);
    expect((await get(made!.authorizationId)).status).toBe('expired');
    const answered = await respond(made!);
    expect(answered.status).toBe('expired');
    expect(answered.challenges[0]?.status).toBe('pending');
  });

  it('ends the reuse of a valid authorization (covers: T40, the window)', async () => {
    const clock = new FakeClock('2026-11-21T00:00:00Z');
    const { order, respond, queue, authorizations, requester, get } = fixture.setUp(clock);
    const [made] = await order('a.localhost');
    await respond(made!);
    const [claimed] = await queue.claim(1, clock.now(), clock.now() + 1000, ALL);
    const evidence = { method: 'http-01' as const, identifier: claimed!.identifier, hops: [] };
    await queue.finish({
      challenge: claimed!,
      evidence,
      at: clock.now(),
      validUntil: clock.now() + 30 * DAY,
    });
    expect((await order('a.localhost'))[0]?.authorizationId).toBe(made!.authorizationId);
    clock.advance(30 * DAY);
    expect((await get(made!.authorizationId)).status).toBe('expired');
    expect((await order('a.localhost'))[0]?.authorizationId).not.toBe(made!.authorizationId);
    expect(await authorizations.proofs([made!.authorizationId], requester, clock.now())).toEqual(
      [],
    );
  });
});

describe('reaping', () => {
  it('deletes what nobody used, and keeps what was validated', async () => {
    const { order, respond, settled, start, get, deps } = fixture.setUp();
    await start();
    const [used, unused] = await order('used.localhost', 'unused.localhost');
    await respond(used!);
    await settled(used!.authorizationId);
    await fixture.ra.pool.query(
      'UPDATE authorization_ SET expires_at = 1 WHERE authorization_id = ANY ($1)',
      [[used!.authorizationId, unused!.authorizationId]],
    );
    const worker = reaper({
      pool: fixture.ra.pool,
      clock: systemClock,
      clockGuard: createClockGuard(systemClock),
      log: silentLog,
    });
    await worker.start();
    const gone = () => codeOf(readAuthorizations(deps, [unused!.authorizationId]));
    await eventually(async () => (await gone()) === 'AUTHORIZATION_NOT_FOUND', systemClock);
    await worker.stop();
    expect((await get(used!.authorizationId)).status).toBe('expired');
  });
});
