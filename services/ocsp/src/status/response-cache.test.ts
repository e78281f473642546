import { describe, expect, it } from '@jest/globals';
import { createResponseCache, type Outcome, type SignedResponse } from './response-cache.ts';

const KEY = { issuerId: 'issuing', serialNumber: '01' };
const FORM = Buffer.from('certId');

function answer(outcome: Outcome, size = 100): SignedResponse {
  const response = Buffer.alloc(size, outcome);
  return { response, outcome, thisUpdate: 0, nextUpdate: 2, refreshAt: 1 };
}

describe('response cache', () => {
  it('makes one response for all who ask meanwhile, and keeps it', async () => {
    const cache = createResponseCache(10_000);
    let made = 0;
    const make = async () => {
      made++;
      return answer('good');
    };
    await Promise.all([cache.produce(KEY, FORM, make), cache.produce(KEY, FORM, make)]);
    expect([made, cache.get(KEY, FORM)?.outcome]).toEqual([1, 'good']);
    expect(cache.get(KEY, Buffer.from('SHA-256'))).toBeUndefined();
  });

  it('a purge reaches kept responses and those that are being made', async () => {
    const cache = createResponseCache(10_000);
    await cache.produce(KEY, FORM, async () => answer('good'));
    const slow = Promise.withResolvers<SignedResponse>();
    const other = Buffer.from('other form');
    const flight = cache.produce(KEY, other, () => slow.promise);
    cache.purge([KEY]);
    expect(cache.get(KEY, FORM)).toBeUndefined();
    await cache.produce(KEY, other, async () => answer('revoked'));
    slow.resolve(answer('good'));
    await flight;
    expect(cache.get(KEY, other)?.outcome).toBe('revoked');
  });

  it('trusts what was made since a change may have been missed, and nothing from before', async () => {
    const cache = createResponseCache(10_000);
    const before = await cache.produce(KEY, FORM, async () => answer('good'));
    expect(cache.isTrusted(before)).toBe(true);
    const slow = Promise.withResolvers<SignedResponse>();
    const other = Buffer.from('other form');
    const flight = cache.produce(KEY, other, () => slow.promise);
    cache.distrust();
    expect([cache.get(KEY, FORM), cache.isTrusted(before)]).toEqual([before, false]);
    slow.resolve(answer('good'));
    expect(cache.isTrusted(await flight)).toBe(false);
    expect(cache.get(KEY, other)).toBeUndefined();
    await cache.produce(KEY, FORM, async () => before);
    expect(cache.isTrusted(before)).toBe(true);
  });

  it('does not keep unknown, nor failures', async () => {
    const cache = createResponseCache(10_000);
    await cache.produce(KEY, FORM, async () => answer('unknown'));
    const failing = cache.produce(KEY, FORM, () => Promise.reject(new Error('no')));
    await expect(failing).rejects.toThrow('no');
    expect(cache.get(KEY, FORM)).toBeUndefined();
  });

  it('holds at most so many octets, and at most four forms of a certificate', async () => {
    const cache = createResponseCache(1_000);
    for (let i = 0; i < 20; i++) {
      const key = { issuerId: 'issuing', serialNumber: String(i) };
      await cache.produce(key, FORM, async () => answer('good'));
    }
    expect(cache.get({ issuerId: 'issuing', serialNumber: '0' }, FORM)).toBeUndefined();
    for (let i = 0; i < 6; i++) {
      await cache.produce(KEY, Buffer.from([i]), async () => answer('good'));
    }
    const kept = [0, 1, 2, 3, 4, 5].filter((i) => cache.get(KEY, Buffer.from([i])));
    expect(kept.length).toBeLessThanOrEqual(4);
    expect(kept).toContain(5);
  });
});
