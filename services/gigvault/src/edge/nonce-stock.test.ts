import { eventually } from '@gigvault/testkit/eventually';
import { expect, it } from '@jest/globals';
import { createNonceStock } from './nonce-stock.ts';

it('gives each nonce once, asks when they are taken, throws old ones away, and lives without enroll — covers: T20', async () => {
  let now = 0;
  let asked = 0;
  let down = false;
  let warnings = 0;
  const enroll = {
    async issueNonces({ count }: { count: number }) {
      asked++;
      if (down) throw new Error('down');
      return { nonces: Array.from({ length: count }, (_, i) => `${asked}-${i}`) };
    },
  };
  const log = { warn: () => void warnings++ };
  const stock = createNonceStock(enroll, { elapsed: () => now }, log);
  const take = () => {
    const nonce = stock.take();
    if (nonce === undefined) throw new Error('there is none');
    return nonce;
  };
  expect(asked).toBe(0);
  expect(take).toThrow();
  const taken = new Set([await eventually(take)]);
  for (let i = 0; i < 127; i++) taken.add(take());
  expect(taken.size).toBe(128);
  expect(asked).toBe(1);

  down = true;
  now += 2_000;
  expect(take).toThrow();
  await eventually(() => expect(warnings).toBe(1));
  expect(asked).toBe(2);
  now += 999;
  await expect(eventually(take, 200)).rejects.toThrow();
  expect(asked).toBe(2);
  down = false;
  now += 1;
  expect(await eventually(take)).toMatch(/^3-/);
});
