import { FakeClock } from '@gigvault/time/clock';
import { describe, expect, it } from '@jest/globals';
import { createAuditGate } from './audit-gate.ts';

const limits = { events: 100, oldestMs: 60_000 };

describe('the audit gate', () => {
  it.each([
    [{ events: 100, oldestMs: 60_000 }, true],
    [{ events: 101, oldestMs: 0 }, false],
    [{ events: 1, oldestMs: 60_001 }, false],
  ])('at lag %o is open: %s (covers: T6)', async (lag, open) => {
    const gate = createAuditGate({ clock: new FakeClock(0), lag: async () => lag, limits });
    if (open) await gate.check();
    else await expect(gate.check()).rejects.toMatchObject({ code: 'AUDIT_LAGGING', retryAfter: 5 });
  });

  it('reads the lag once a second, whatever the load', async () => {
    const clock = new FakeClock(0);
    let reads = 0;
    const lag = async () => {
      reads += 1;
      return { events: 0, oldestMs: 0 };
    };
    const gate = createAuditGate({ clock, lag, limits });
    await Promise.all(Array.from({ length: 100 }, () => gate.check()));
    clock.advance(999);
    await gate.check();
    expect(reads).toBe(1);
    clock.advance(1);
    await gate.check();
    expect(reads).toBe(2);
  });

  it('stays shut while the lag cannot be read', async () => {
    const gate = createAuditGate({
      clock: new FakeClock(0),
      lag: () => Promise.reject(new Error('away')),
      limits,
    });
    await expect(gate.check()).rejects.toThrow('away');
  });
});
