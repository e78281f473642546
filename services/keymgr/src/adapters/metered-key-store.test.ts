import { memoryKeyStore } from '@gigvault/keystore/memory-key-store';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { FakeClock } from '@gigvault/time/clock';
import { describe, expect, it } from '@jest/globals';
import { meteredKeyStore } from './metered-key-store.ts';

describe('backends_available', () => {
  it('says how the last check ended, and nothing of one that goes on', async () => {
    const metrics = createMetrics();
    const clock = new FakeClock(0);
    const checks: PromiseWithResolvers<void>[] = [];
    const store = meteredKeyStore(
      {
        ...memoryKeyStore(),
        check() {
          const check = Promise.withResolvers<void>();
          checks.push(check);
          return check.promise;
        },
      },
      metrics,
      clock,
    );
    const shown = async () =>
      /^gigvault_backends_available\{backend="memory"\} (\d)$/m.exec(
        await metrics.exposition(),
      )?.[1];

    const first = store.check();
    expect(await shown()).toBeUndefined();
    checks[0]!.resolve();
    await first;
    expect(await shown()).toBe('1');

    await Promise.all(Array.from({ length: 50 }, () => store.check()));
    expect(checks).toHaveLength(1);
    clock.advance(1_000);
    const second = store.check();
    expect(await shown()).toBe('1');
    checks[1]!.reject(new Error('away'));
    await expect(second).rejects.toThrow('away');
    await expect(store.check()).rejects.toThrow('away');
    expect(checks).toHaveLength(2);
    expect(await shown()).toBe('0');
  });
});
