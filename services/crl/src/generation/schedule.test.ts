import { describe, expect, it } from '@jest/globals';
import type { ShardState } from '../ports/shard.ts';
import { nextDue } from './schedule.ts';

const SCHEDULE = { interval: 3_600_000, coalesce: 10_000 };
const T = 1_000_000_000;
const NOW = T + 7_200_000;
const SHARD: ShardState = {
  issuerId: 'issuing',
  crlShard: 0,
  issuerCertificate: Buffer.alloc(0),
  keyId: 'ca-issuing',
  endsAt: undefined,
  crlBaseUrl: 'http://status.test/crl/issuing',
  changedAt: undefined,
  open: false,
  openSince: undefined,
  published: { crlNumber: 1, thisUpdate: T, nextUpdate: T + 86_400_000 },
  scheduledUpdate: T,
};

describe('schedule', () => {
  it('the first CRL and an unfinished one are due at once', () => {
    expect(nextDue({ ...SHARD, published: undefined }, SCHEDULE, NOW)).toEqual({
      at: 0,
      scheduled: true,
    });
    expect(nextDue({ ...SHARD, open: true }, SCHEDULE, NOW).at).toBe(0);
  });

  it('then one each interval', () => {
    expect(nextDue(SHARD, SCHEDULE, NOW)).toEqual({ at: T + 3_600_000, scheduled: true });
  });

  it('a revocation after a quiet time is due at once, one soon after a CRL when the time to coalesce is over', () => {
    const quiet = { ...SHARD, changedAt: T + 500_000 };
    expect(nextDue(quiet, SCHEDULE, NOW)).toEqual({ at: T + 500_000, scheduled: false });
    const soon = { ...SHARD, changedAt: T + 1 };
    expect(nextDue(soon, SCHEDULE, NOW)).toEqual({ at: T + 10_000, scheduled: false });
  });

  it('one from the future is due at once, and a revocation of the future with the others — covers: T15', () => {
    const then = T + 120_000;
    const future = { crlNumber: 2, thisUpdate: then, nextUpdate: then + 86_400_000 };
    const at = { at: 0, scheduled: true };
    expect(nextDue({ ...SHARD, published: future }, SCHEDULE, T)).toEqual(at);
    expect(nextDue({ ...SHARD, scheduledUpdate: then }, SCHEDULE, T)).toEqual(at);
    // Clocks of replicas may differ a little.
    expect(nextDue({ ...SHARD, published: future }, SCHEDULE, then - 60_000).at).toBeGreaterThan(0);
    const changed = { ...SHARD, changedAt: then };
    expect(nextDue(changed, SCHEDULE, T + 20_000)).toEqual({ at: T + 20_000, scheduled: false });
  });

  it('of a CA that has retired there is one more, good until its end, and then none but for a revocation', () => {
    const retired = { ...SHARD, endsAt: T + 1_000 * 86_400_000 };
    expect(nextDue(retired, SCHEDULE, NOW)).toEqual({ at: 0, scheduled: true });
    const published = { crlNumber: 2, thisUpdate: NOW, nextUpdate: retired.endsAt };
    const last = { ...retired, published, scheduledUpdate: NOW };
    expect(nextDue(last, SCHEDULE, NOW).at).toBe(Number.POSITIVE_INFINITY);
    const changedAt = NOW + 500_000;
    const changed = { at: changedAt, scheduled: false };
    expect(nextDue({ ...last, changedAt }, SCHEDULE, changedAt + 1)).toEqual(changed);
    expect(nextDue(retired, SCHEDULE, retired.endsAt).at).toBe(Number.POSITIVE_INFINITY);
  });

  it('a CRL that is due anyway is made on schedule', () => {
    const late = { ...SHARD, changedAt: T + 3_600_001 };
    expect(nextDue(late, SCHEDULE, NOW)).toEqual({ at: T + 3_600_000, scheduled: true });
  });
});
