import { silentLog } from '@gigvault/telemetry/log';
import { FakeClock } from '@gigvault/time/clock';
import { describe, expect, it } from '@jest/globals';
import type { WebhookReply } from '../ports/webhook-sender.ts';
import { type DeliverDeps, deliverDue, WAITS } from './deliver.ts';

const NOW = 1_800_000_000_000;
const HOUR = 3_600_000;

/** A queue in memory that has one notification, and a receiver that answers as it is told. */
function world(answer: () => Promise<WebhookReply>) {
  const clock = new FakeClock(NOW);
  const row = { attempts: 0, dueAt: NOW as number | undefined, failure: '', isThere: true };
  const results: string[] = [];
  const deps: DeliverDeps = {
    name: 'ops',
    url: new URL('https://hooks.example/gigvault'),
    queue: {
      async claim(_limit, lease) {
        if (!row.isThere || row.dueAt === undefined || row.dueAt > clock.now()) return [];
        row.attempts += 1;
        row.dueAt = clock.now() + lease;
        return [{ deliveryId: 'd', body: '{}', attempt: row.attempts }];
      },
      async forget() {
        row.isThere = false;
      },
      async failed(_delivery, failure, dueAt) {
        Object.assign(row, { failure, dueAt });
      },
      retryAll: async () => undefined,
      count: async () => ({ waiting: 0, givenUp: 0 }),
    },
    sender: { post: answer },
    sign: () => 'v1,x',
    clock,
    log: silentLog,
    onResult: (result) => results.push(result),
  };
  const run = () => deliverDue(deps, new AbortController().signal);
  return { clock, row, results, run };
}

// covers: T18
describe('a delivery', () => {
  it('that is refused is tried nine times, over a day, and then given up', async () => {
    const { clock, row, results, run } = world(async () => ({ status: 500 }));
    for (const wait of WAITS) {
      await run();
      expect(row).toMatchObject({ dueAt: clock.now() + wait, failure: 'it answered 500' });
      clock.advance(wait - 1);
      await run();
      clock.advance(1);
    }
    await run();
    expect(row).toMatchObject({ attempts: WAITS.length + 1, dueAt: undefined });
    expect(results).toEqual([...WAITS.map(() => 'retry'), 'given-up']);
    expect(clock.now() - NOW).toBeGreaterThan(24 * HOUR);
  });

  it('is forgotten once it has arrived', async () => {
    const { row, results, run } = world(async () => ({ status: 204 }));
    await run();
    expect([row.isThere, results]).toEqual([false, ['ok']]);
  });

  it.each([
    [{ status: 503, retryAfter: 120 }, 120_000],
    [{ status: 429, retryAfter: 1 }, WAITS[0]],
    [{ status: 503, retryAfter: 1e9 }, HOUR],
    [{ status: 302 }, WAITS[0]],
  ])('answered %j waits %s ms', async (reply, wait) => {
    const { clock, row, run } = world(async () => reply);
    await run();
    expect(row.dueAt).toBe(clock.now() + (wait as number));
  });

  it('that nobody will ever want is forgotten', async () => {
    const { row, results, run } = world(async () => ({ status: 410 }));
    await run();
    expect([row.isThere, results]).toEqual([false, ['unwanted']]);
  });

  it('without an answer says why', async () => {
    const { row, run } = world(() => Promise.reject(new Error('hooks.example cannot be told: x')));
    await run();
    expect(row.failure).toBe('hooks.example cannot be told: x');
  });
});
