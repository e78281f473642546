import { FakeClock } from '@gigvault/time/clock';
import { afterAll, describe, expect, it } from '@jest/globals';
import { networkList } from '../src/network-list.ts';
import { clientKey, createRateLimiter } from '../src/rate-limiter.ts';
import { api, call, start, stopAll } from './test-server.ts';

afterAll(stopAll);

describe('the allow-list of the API (covers: C53)', () => {
  it('refuses other networks on both mounts, before anything is read, and nothing but the API', async () => {
    const closed = await start({ allowedNetworks: ['192.0.2.0/24'] });
    for (const path of [
      '/service/api/v1/users',
      '/api/v1/users',
      '/api/v1/%75sers',
      '/service/api/v1/nothing',
    ]) {
      const answer = await api(closed, path, '{');
      expect([path, answer.status]).toEqual([path, 403]);
      expect(answer.json()).toMatchObject({ error: { code: 'FORBIDDEN' } });
    }
    expect((await call(closed, '/acme/directory')).status).toBe(200);
  });

  it('lets listed networks in', async () => {
    const open = await start({ allowedNetworks: ['10.0.0.0/8', '127.0.0.0/8'] });
    expect((await api(open, '/api/v1/users/1')).status).toBe(200);
  });

  it('knows addresses in either family, mapped ones too', () => {
    const list = networkList(['10.1.0.0/16', '192.0.2.7', 'fd00::/8', '::1']);
    const inside = ['10.1.255.1', '192.0.2.7', 'fdff::1', '::1', '::ffff:10.1.2.3'];
    const outside = ['10.2.0.1', '192.0.2.8', 'fe80::1', '::2', '::ffff:10.2.0.1'];
    expect(inside.filter((address) => !list.contains(address))).toEqual([]);
    expect(outside.filter((address) => list.contains(address))).toEqual([]);
  });

  it.each(['10.0.0.0/33', 'fd00::/129', '10.0.0', 'localhost', '', '10.0.0.0/', '10.0.0.0/-1'])(
    'refuses to start with a network that is none: "%s"',
    (network) => {
      expect(() => networkList([network])).toThrow(`"${network}"`);
    },
  );
});

describe('the rate limit of the API (covers: C53)', () => {
  it('answers 429 with the time to wait, counts down in headers, and forgives', async () => {
    const clock = new FakeClock(0);
    const rateLimit = { requestsPerSecond: 2, burst: 3 };
    const limited = await start({ rateLimit, clock });
    const left: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      const answer = await api(limited, '/api/v1/users/1');
      left.push([answer.status, answer.headers['ratelimit']]);
      expect(answer.headers['ratelimit-policy']).toBe('"client";q=3;w=2');
    }
    expect(left).toEqual([
      [200, '"client";r=2;t=1'],
      [200, '"client";r=1;t=1'],
      [200, '"client";r=0;t=2'],
    ]);
    const refused = await api(limited, '/service/api/v1/users/1');
    expect(refused.status).toBe(429);
    expect(refused.headers).toMatchObject({
      'retry-after': '1',
      ratelimit: '"client";r=0;t=2',
      'content-type': 'application/problem+json',
    });
    expect(refused.json()).toMatchObject({ error: { code: 'RATE_LIMITED' } });
    expect((await call(limited, '/acme/directory')).headers['ratelimit']).toBeUndefined();
    clock.advance(500);
    expect((await api(limited, '/api/v1/users/1')).status).toBe(200);
    await limited.stop(0);
  });

  it('counts guesses at tokens and paths as well', async () => {
    const limited = await start({
      rateLimit: { requestsPerSecond: 1, burst: 2 },
      clock: new FakeClock(0),
    });
    const statuses = [];
    for (const path of ['/api/v1/users/1', '/api/v1/nothing', '/api/v1/users/1'])
      statuses.push((await call(limited, path)).status);
    expect(statuses).toEqual([401, 404, 429]);
    await limited.stop(0);
  });

  it('is off at 0', async () => {
    const open = await start({ rateLimit: { requestsPerSecond: 0, burst: 1 } });
    for (let i = 0; i < 5; i++) {
      const answer = await api(open, '/api/v1/users/1');
      expect([answer.status, answer.headers['ratelimit']]).toEqual([200, undefined]);
    }
  });

  it('never goes above the burst, nor below nothing when the clock goes back', () => {
    const clock = new FakeClock(1_000_000);
    const limiter = createRateLimiter({ requestsPerSecond: 10, burst: 5 }, clock);
    clock.advance(3_600_000);
    expect(limiter.take('a').remaining).toBe(4);
    clock.advance(-3_600_000);
    expect(limiter.take('a')).toMatchObject({ allowed: true, remaining: 3 });
    expect(limiter.take('b').remaining).toBe(4);
  });

  it('remembers only so many clients', () => {
    const limiter = createRateLimiter({ requestsPerSecond: 1, burst: 1 }, new FakeClock(0));
    limiter.take('first');
    expect(limiter.take('first').allowed).toBe(false);
    for (let i = 0; i < 50_000; i++) limiter.take(`other-${i}`);
    expect(limiter.take('first').allowed).toBe(true);
  });

  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8::7', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ])('takes %s for client %s', (address, key) => {
    expect(clientKey(address)).toBe(key);
  });
});
