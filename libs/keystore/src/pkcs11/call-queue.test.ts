import { describe, expect, it } from '@jest/globals';
import { CallQueue } from './call-queue.ts';
import type { DriverCall } from './driver-messages.ts';

const CHECK: DriverCall = { method: 'check' };
const handle = crypto.randomUUID() as string;
const UNAVAILABLE = { code: 'KEY_UNAVAILABLE' };

describe('a driver that answers nobody', () => {
  it('hangs, once a call of it is late', async () => {
    const queue = new CallQueue(10);
    const late = queue.add(CHECK, 1);
    queue.take();
    expect(queue.tick('')).toBe(true);
    await expect(late).rejects.toMatchObject(UNAVAILABLE);
  });

  it.each<DriverCall>([
    { method: 'generate', handle, keyType: 'rsa-4096', label: 'a' },
    { method: 'generateSecret', handle, keyType: 'aes-256', label: 'a' },
  ])('may be making a key: $method', async (making) => {
    const queue = new CallQueue(10);
    const made = queue.add(making, 2);
    const late = queue.add(CHECK, 1);
    queue.take();
    expect(queue.tick('')).toBe(false);
    await expect(late).rejects.toMatchObject(UNAVAILABLE);
    expect(queue.tick('')).toBe(true);
    await expect(made).rejects.toMatchObject(UNAVAILABLE);
  });
});
