import { type DnsServer, startDnsServer } from '@gigvault/testkit/dns-server';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { dnsResolver } from '../src/adapters/dns-resolver.ts';
import type { ValidationWorkerOptions } from '../src/adapters/validation-worker.ts';
import {
  ALL,
  type AuthorizationFixture,
  startAuthorizationFixture,
} from './authorization-fixture.ts';
import { eventually } from './fixtures.ts';

const MINUTE = 60_000;

let fixture: AuthorizationFixture;
let dns: DnsServer;
beforeAll(async () => {
  fixture = await startAuthorizationFixture();
});
beforeEach(async () => {
  dns = await startDnsServer();
});
afterEach(async () => {
  await fixture.reset();
  await dns.stop();
  await fixture.ra.pool.query(
    `UPDATE challenge SET status = 'invalid' WHERE status = 'processing'`,
  );
});
afterAll(() => fixture.stop());

const tarpits = Array.from({ length: 32 }, (_, index) => `n${index}.tarpit.example`);

/** A requester with names that DNS knows. */
function setUp(change: Partial<ValidationWorkerOptions> = {}) {
  return fixture.setUp(systemClock, {
    resolver: dnsResolver({ development: true, servers: [dns.address], clock: systemClock }),
    rules: {
      development: true,
      allowedNetworks: [{ address: Buffer.from([127, 0, 0, 1]), prefix: 32 }],
    },
    concurrency: 8,
    ...change,
  });
}

async function orderAndRespond({ order, respond }: ReturnType<typeof setUp>, names: string[]) {
  const made = await order(...names);
  for (const one of made) await respond(one);
  return made;
}

describe('validations of many requesters', () => {
  it('32 tarpit names do not delay an honest one beyond its deadline', async () => {
    dns.put('honest.example', '127.0.0.1');
    dns.silence(/tarpit/);
    const attacker = setUp({ timeout: 20_000 });
    await attacker.start();
    const stuck = await orderAndRespond(attacker, tarpits);
    await eventually(async () => dns.questions.some((one) => /tarpit/.test(one)), systemClock);
    const honest = setUp();
    const started = performance.now();
    const [mine] = await orderAndRespond(honest, ['honest.example']);
    expect((await honest.settled(mine!.authorizationId)).status).toBe('valid');
    expect(performance.now() - started).toBeLessThan(6_000);
    expect((await attacker.get(stuck[0]!.authorizationId)).status).toBe('pending');
  });

  it('has at most a quarter for one requester', async () => {
    dns.silence(/tarpit/);
    const attacker = setUp();
    await orderAndRespond(attacker, tarpits);
    await attacker.start();
    const names = () => new Set(dns.questions.map((question) => question.split(' ')[0]));
    // Each asks twice, for A and AAAA, and a second later once more.
    await eventually(async () => dns.questions.length >= 8, systemClock);
    expect(names().size).toBe(2);
  });

  it('takes requesters by turns, those with the fewest in flight first', async () => {
    const [first, second, third] = [setUp(), setUp(), setUp()];
    await orderAndRespond(first, ['a1.example', 'a2.example', 'a3.example', 'a4.example']);
    await orderAndRespond(second, ['b1.example', 'b2.example']);
    await orderAndRespond(third, ['c1.example']);
    const now = systemClock.now();
    const claim = async (limit: number, share = ALL) => {
      const claimed = await first.queue.claim(limit, now, now + MINUTE, share);
      return claimed.map(({ identifier }) => identifier.value).sort();
    };
    expect(await claim(3)).toEqual(['a1.example', 'b1.example', 'c1.example']);
    const inFlight = new Map([
      [first.requester, 1],
      [second.requester, 1],
    ]);
    expect(await claim(100, { each: 2, inFlight })).toEqual(['a2.example', 'b2.example']);
    expect(await claim(100, { each: 2, inFlight: new Map([[first.requester, 2]]) })).toEqual([]);
    expect(await claim(100)).toEqual(['a3.example', 'a4.example']);
  });

  it('leases each challenge once when processes claim at the same time', async () => {
    const one = setUp();
    await orderAndRespond(one, tarpits);
    const now = systemClock.now();
    const claims = await Promise.all(
      Array.from({ length: 8 }, () => one.queue.claim(4, now, now + MINUTE, ALL)),
    );
    const taken = claims.flat().map(({ challengeId }) => challengeId);
    expect(taken.length).toBeGreaterThanOrEqual(4);
    expect(new Set(taken).size).toBe(taken.length);
  });
});
