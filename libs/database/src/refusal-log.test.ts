import { FakeClock } from '@gigvault/time/clock';
import { describe, expect, it } from '@jest/globals';
import { type Refusal, refusalLog } from './refusal-log.ts';

const MINUTE = 60_000;
const NOW = Date.UTC(2026, 0, 1);

function setUp() {
  const clock = new FakeClock(NOW);
  const told: (Refusal & { readonly count?: number })[] = [];
  const database = { isDown: false };
  const write = async (...refusals: typeof told) => {
    await Promise.resolve();
    if (database.isDown) throw new Error('down');
    told.push(...refusals);
  };
  const log = refusalLog(
    {
      now: write,
      later: (repeated) => write(...repeated.map(({ refusal, count }) => ({ ...refusal, count }))),
    },
    clock,
  );
  return { clock, told, database, log };
}

const refusal = (over: Partial<Refusal> = {}): Refusal => ({
  subject: 'k',
  operation: 'sign',
  caller: 'user:bob',
  reason: 'it is a key of somebody else',
  ...over,
});

describe('covers: T63. refusals', () => {
  it('a flood of one kind is the first at once, and a number a minute later', async () => {
    const { log, told, clock } = setUp();
    for (let n = 0; n < 1000; n++) await log.refused(refusal());
    expect(told).toEqual([refusal()]);
    await log.flush();
    expect(told).toHaveLength(1);
    clock.advance(MINUTE);
    await log.flush();
    expect(told).toEqual([refusal(), { ...refusal(), count: 999 }]);
    await log.refused(refusal());
    expect(told).toHaveLength(3);
    clock.advance(MINUTE);
    await log.flush();
    expect(told).toHaveLength(3);
  });

  it('that differ in key, purpose, caller or reason are each told at once', async () => {
    const { log, told } = setUp();
    const all = [
      refusal(),
      refusal({ subject: 'other' }),
      refusal({ operation: 'verify' }),
      refusal({ caller: 'user:eve' }),
      refusal({ reason: 'key is suspended' }),
    ];
    for (const one of all) await log.refused(one);
    expect(told).toEqual(all);
  });

  it('of one caller with ever new keys are a hundred kinds, and a number; others have their own', async () => {
    const { log, told, clock } = setUp();
    for (let n = 0; n < 1000; n++) await log.refused(refusal({ subject: `k${n}` }));
    await log.refused(refusal({ caller: 'user:eve' }));
    clock.advance(MINUTE);
    await log.flush();
    expect(told).toHaveLength(103);
    const others = { subject: '*', operation: '*', caller: 'user:bob' };
    expect(told[100]).toMatchObject(others);
    expect(told[101]).toEqual(refusal({ caller: 'user:eve' }));
    expect(told[102]).toMatchObject({ ...others, count: 899 });
  });

  it('are not answered unwritten: who waits fails with the first, and the next is the first again', async () => {
    const { log, told, database } = setUp();
    database.isDown = true;
    const outcomes = await Promise.allSettled([log.refused(refusal()), log.refused(refusal())]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    database.isDown = false;
    await log.refused(refusal());
    expect(told).toEqual([refusal()]);
  });

  it('whose write fails after their minute leave those of the next minute as they are', async () => {
    const clock = new FakeClock(NOW);
    const writes: PromiseWithResolvers<void>[] = [];
    const counts: number[] = [];
    const log = refusalLog(
      {
        now() {
          const write = Promise.withResolvers<void>();
          writes.push(write);
          return write.promise;
        },
        later: async (repeated) => void counts.push(...repeated.map(({ count }) => count)),
      },
      clock,
    );
    const late = log.refused(refusal());
    clock.advance(MINUTE);
    await log.flush();
    const next = log.refused(refusal());
    writes[0]!.reject(new Error('down'));
    await expect(late).rejects.toThrow('down');
    writes[1]!.resolve();
    await next;
    await log.refused(refusal());
    expect(writes).toHaveLength(2);
    await log.flush(true);
    expect(counts).toEqual([1]);
  });

  it('keep their number when it cannot be written', async () => {
    const { log, told, clock, database } = setUp();
    for (let n = 0; n < 3; n++) await log.refused(refusal());
    clock.advance(MINUTE);
    database.isDown = true;
    const failed = log.flush();
    await expect(log.refused(refusal())).rejects.toThrow('down');
    await expect(failed).rejects.toThrow('down');
    database.isDown = false;
    for (let n = 0; n < 2; n++) await log.refused(refusal());
    await log.flush(true);
    expect(told.map(({ count = 1 }) => count)).toEqual([1, 1, 2, 1]);
  });
});
