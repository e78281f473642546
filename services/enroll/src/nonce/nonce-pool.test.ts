import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createNoncePool } from './nonce-pool.ts';

describe('nonces', () => {
  it('are good once — covers: T33', () => {
    const pool = createNoncePool(1000);
    const nonce = pool.issue();
    expect(nonce).toMatch(/^[A-Za-z0-9_-]{35}$/);
    expect(pool.redeem(nonce)).toBe(true);
    expect(pool.redeem(nonce)).toBe(false);
  });

  it('of another instance are refused — covers: T33', () => {
    expect(createNoncePool(1000).redeem(createNoncePool(1000).issue())).toBe(false);
  });

  it('leave the window — covers: T33', () => {
    const pool = createNoncePool(8);
    const nonces = Array.from({ length: 9 }, () => pool.issue());
    expect(nonces.map((nonce) => pool.redeem(nonce))).toEqual([false, ...Array(8).fill(true)]);
    expect(nonces.map((nonce) => pool.redeem(nonce))).toEqual(Array(9).fill(false));
  });

  it('cannot be altered in any bit — covers: T33', () => {
    const pool = createNoncePool(100);
    const octets = Buffer.from(pool.issue(), 'base64url');
    for (let bit = 0; bit < octets.length * 8; bit++) {
      const altered = Buffer.from(octets);
      altered[bit >> 3]! ^= 1 << (bit & 7);
      expect(pool.redeem(altered.toString('base64url'))).toBe(false);
    }
    expect(pool.redeem(octets.toString('base64url'))).toBe(true);
  });

  it.each(['', 'AAAA', 'A'.repeat(35), 'A'.repeat(5000), '\u0000'])('refuses %p', (text) => {
    expect(createNoncePool(100).redeem(text)).toBe(false);
  });

  it('of any text that was not issued are refused, and none is spent by that — covers: T33', () => {
    const pool = createNoncePool(1000);
    const issued = pool.issue();
    const near = fc
      .tuple(fc.nat(issued.length), fc.nat(3), fc.string({ maxLength: 3, unit: 'binary' }))
      .map(([at, gone, put]) => `${issued.slice(0, at)}${put}${issued.slice(at + gone)}`);
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.base64String().map((base64) => base64.replaceAll('=', '')),
      fc
        .uint8Array({ minLength: 26, maxLength: 26 })
        .map((octets) => Buffer.from(octets).toString('base64url')),
      near.filter((other) => other !== issued),
    );
    fc.assert(
      fc.property(text, (nonce) => expect(pool.redeem(nonce)).toBe(false)),
      { numRuns: 1000 },
    );
    expect(pool.redeem(issued)).toBe(true);
  });

  it('behave as a set of the newest ones', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.option(fc.nat(60))),
        (window, actions) => {
          const pool = createNoncePool(window);
          const issued: string[] = [];
          const used = new Set<number>();
          for (const action of actions) {
            if (action === null) issued.push(pool.issue());
            else if (action < issued.length) {
              const good = action >= issued.length - window && !used.has(action);
              expect(pool.redeem(issued[action]!)).toBe(good);
              used.add(action);
            }
          }
        },
      ),
    );
  });
});
