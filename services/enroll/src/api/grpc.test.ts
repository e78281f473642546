import { expect, it } from '@jest/globals';
import { createNoncePool } from '../nonce/nonce-pool.ts';
import { NonceRpc } from './grpc.ts';

it('the edge gets nonces that are good once, so many at a time — covers: T20', async () => {
  const pool = createNoncePool(1_000);
  const rpc = new NonceRpc(pool);
  const { nonces } = await rpc.issueNonces({ count: 256 });
  expect(new Set(nonces).size).toBe(256);
  expect(nonces.every((nonce) => pool.redeem(nonce))).toBe(true);
  expect(nonces.some((nonce) => pool.redeem(nonce))).toBe(false);
  for (const count of [0, 1_001])
    await expect(rpc.issueNonces({ count })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});
