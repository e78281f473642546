import { createMetrics, type Metrics } from '@gigvault/telemetry/metrics';
import { beforeEach, describe, expect, it } from '@jest/globals';
import {
  type Admission,
  createAdmission,
  createBound,
  type Entry,
  routedPath,
} from './admission.ts';

const NEW_ORDER = ['POST', '/acme/new-order'] as const;
const FINALIZE = ['POST', '/acme/order/1/finalize'] as const;
const AUTHZ = ['POST', '/acme/authz/1'] as const;

let now: number;
let metrics: Metrics;
let admission: Admission;

beforeEach(() => {
  now = 0;
  metrics = createMetrics();
  admission = createAdmission({ metrics, clock: { elapsed: () => now } });
});

/** A server that works at one request at a time, and clients whose orders are so many requests. Time is made up. */
function world() {
  /** Milliseconds that each request takes of the server's time. */
  const cost = 2;
  const steps = [NEW_ORDER, AUTHZ, ['POST', '/acme/chall/1/2'], AUTHZ, FINALIZE, AUTHZ] as const;
  const peak = 1_000 / (cost * steps.length);
  const queue: {
    step: number;
    leave(status: number | undefined): void;
    due: number;
    since: number;
  }[] = [];
  const thinking: { step: number; at: number }[] = [];
  let spent = 0;
  let arrived = 0;

  function ask(step: number): boolean {
    const [method, path] = steps[step]!;
    const entry = admission.enter(method, path);
    if (!entry.admitted) return false;
    spent = Math.max(spent, now) + cost;
    queue.push({ step, leave: entry.leave, due: spent, since: now });
    return true;
  }

  /** Goes on for so many milliseconds. @param rate orders a second that clients begin @param think milliseconds between an answer and the next request */
  return function run(ms: number, rate: number, think = 0) {
    const report = { ended: 0, begun: 0, turnedAway: 0, slowest: 0, refused: 0, peak };
    const end = now + ms;
    let due = arrived;
    for (; now < end; now++) {
      for (due += rate / 1_000; arrived < due; arrived++)
        if (ask(0)) report.begun++;
        else report.turnedAway++;
      while (thinking[0] && thinking[0].at <= now)
        if (!ask(thinking.shift()!.step)) report.refused++;
      while (queue[0] && queue[0].due <= now) {
        const { step, leave, since } = queue.shift()!;
        report.slowest = Math.max(report.slowest, now - since);
        leave(step === 0 ? 201 : 200);
        if (step + 1 < steps.length) thinking.push({ step: step + 1, at: now + think });
        else report.ended++;
      }
    }
    return report;
  };
}

describe('admission (covers: T20)', () => {
  it('turns nobody away below the capacity', () => {
    const run = world();
    const { ended, turnedAway, peak } = run(20_000, 60);
    expect(peak).toBeGreaterThan(80);
    expect(ended).toBeGreaterThan(19 * 60);
    expect(turnedAway).toBe(0);
  });

  it.each([0, 100, 1_000])(
    'ten times the capacity, from clients that think for %i ms: what has begun ends, at the peak, and not too late',
    (think) => {
      const run = world();
      expect(run(10_000, 800, think).slowest).toBeLessThan(1_000);
      const { ended, turnedAway, refused, slowest, peak } = run(30_000, 800, think);
      expect(ended / 30).toBeGreaterThan(0.9 * peak);
      expect(turnedAway).toBeGreaterThan(0);
      expect(refused).toBe(0);
      expect(slowest).toBeLessThan(1_000);
    },
  );

  it('is as before soon after', () => {
    const run = world();
    run(30_000, 800);
    run(1_000, 60);
    expect(run(9_000, 60).turnedAway).toBe(0);
  });

  it('clients that think long are not held back while answers are quick', () => {
    const run = world();
    run(20_000, 60, 2_000);
    const { turnedAway, ended, begun } = run(20_000, 60, 2_000);
    expect(turnedAway).toBeLessThan(0.01 * begun);
    expect(ended).toBeGreaterThan(18 * 60);
  });

  it('orders that nobody goes on with do not close the door while answers are quick', () => {
    let refused = 0;
    for (let second = 0; second < 30; second++)
      for (let i = 0; i < 60; i++, now += 1_000 / 60) {
        const entry = admission.enter(...NEW_ORDER);
        if (entry.admitted) entry.leave(201);
        else refused++;
      }
    expect(refused).toBeLessThan(100);
  });

  it('nothing is begun while nothing is answered, and what has begun may still ask', () => {
    const begun = enterMany(NEW_ORDER, 200);
    expect(begun.length).toBe(128);
    now += 5_000;
    expect(enterMany(NEW_ORDER, 200)).toEqual([]);
    expect(enterMany(AUTHZ, 200).length).toBe(200);
  });

  it('orders that were given up do not count for ever', () => {
    for (const { leave } of enterMany(NEW_ORDER, 200)) leave(201);
    expect(enterMany(NEW_ORDER, 1)).toEqual([]);
    now += 10_001;
    expect(enterMany(NEW_ORDER, 1).length).toBe(1);
  });

  it('an order ends with a finalize that was good, or at once when it was refused', () => {
    for (const { leave } of enterMany(NEW_ORDER, 200)) leave(201);
    enterMany(FINALIZE, 1)[0]!.leave(403);
    expect(enterMany(NEW_ORDER, 1)).toEqual([]);
    enterMany(FINALIZE, 1)[0]!.leave(200);
    const [one] = enterMany(NEW_ORDER, 1);
    expect(enterMany(NEW_ORDER, 1)).toEqual([]);
    one!.leave(429);
    expect(enterMany(NEW_ORDER, 1).length).toBe(1);
  });

  it('other certificates and accounts are begun like orders, and end with their answer', () => {
    const begun = enterMany(['POST', '/api/v1/certificates'], 200);
    expect(begun.length).toBe(128);
    expect(enterMany(['POST', '/acme/new-account'], 1)).toEqual([]);
    expect(enterMany(['POST', '/acme/revoke-cert'], 1).length).toBe(1);
    begun[0]!.leave(201);
    expect(enterMany(['POST', '/acme/new-account'], 1).length).toBe(1);
  });

  it('of a client that did not wait for its answer, an order is not open and a finalize has ended nobody’s', () => {
    const begun = enterMany(NEW_ORDER, 200);
    begun.pop()!.leave(undefined);
    expect(enterMany(NEW_ORDER, 2).length).toBe(1);
    enterMany(FINALIZE, 1)[0]!.leave(undefined);
    expect(enterMany(NEW_ORDER, 1)).toEqual([]);
  });

  it('those who hang up at once do not make a slow server look quick', () => {
    const [slow] = enterMany(AUTHZ, 1);
    for (const { leave } of enterMany(NEW_ORDER, 100)) leave(201);
    for (let i = 0; i < 20; i++) {
      now += 250;
      for (const { leave } of enterMany(AUTHZ, 1_000)) leave(undefined);
    }
    slow!.leave(200);
    expect(enterMany(['POST', '/acme/new-account'], 1)).toEqual([]);
  });

  it('there is an end for what has begun as well, but not for who watches', () => {
    expect(enterMany(AUTHZ, 3_000).length).toBe(2_000);
    expect(enterMany(['GET', '/ready'], 1).length).toBe(1);
  });

  it('says when to come back, not the same to all, and counts them', async () => {
    enterMany(NEW_ORDER, 128);
    const said = Array.from({ length: 8 }, () => admission.enter(...NEW_ORDER));
    expect(said.map((entry) => !entry.admitted && entry.retryAfter)).toEqual([
      1, 2, 3, 4, 1, 2, 3, 4,
    ]);
    expect(await metrics.exposition()).toMatch(/^gigvault_admission_turned_away_total 8$/m);
  });
});

it('a bound counts each kind by itself, and says when to come back (covers: T71)', () => {
  const bound = createBound(2, (_method, path) => path);
  const [first] = [bound.enter('GET', '/crl'), bound.enter('GET', '/crl')];
  expect(bound.enter('GET', '/crl')).toEqual({ admitted: false, retryAfter: 1 });
  expect(bound.enter('GET', '/ocsp').admitted).toBe(true);
  if (first?.admitted) first.leave(undefined);
  expect(bound.enter('GET', '/crl').admitted).toBe(true);
  expect(bound.enter('GET', '/crl').admitted).toBe(false);
});

it.each([
  '/acme/new-order',
  '/acme/new-order?x=1',
  '/acme/new-order#x',
  '/acme/new%2Dorder',
  '/%61cme/new-order',
  'https://host/acme/new-order',
  'HTTP://host:1/acme/new%2dorder?x',
])('a path is found however it is written: %s (covers: T20)', (target) => {
  expect(routedPath(target)).toBe('/acme/new-order');
});

it('a path that cannot be decoded, or that no router takes for another, stays what it is', () => {
  for (const path of ['/acme/%zz', '/acme%2Fnew-order', '/']) expect(routedPath(path)).toBe(path);
  expect(routedPath('/acme/new%252Dorder')).toBe('/acme/new%2Dorder');
});

/** Those of so many that are let in. */
function enterMany(request: readonly [string, string], count: number) {
  return Array.from({ length: count }, () => admission.enter(...request)).filter(
    (entry: Entry) => entry.admitted,
  );
}
