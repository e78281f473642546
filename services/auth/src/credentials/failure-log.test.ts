import { FakeClock } from '@gigvault/time/clock';
import { describe, expect, it } from '@jest/globals';
import type { AuthEvent } from '../ports/auth-event.ts';
import { createFailureLog } from './failure-log.ts';

function setUp() {
  const clock = new FakeClock(1000);
  const state = { down: false, written: [] as AuthEvent[] };
  const journal = {
    append: async (events: readonly AuthEvent[]) => {
      if (state.down) throw new Error('down');
      state.written.push(...events);
    },
  };
  return { clock, state, log: createFailureLog(journal, clock) };
}

describe('the failure log', () => {
  it('keeps what could not be written, with what came meanwhile', async () => {
    const { clock, state, log } = setUp();
    state.down = true;
    log.record('api-key', '192.0.2.1', 'k1');
    const failing = expect(log.flush()).rejects.toThrow('down');
    clock.advance(500);
    log.record('api-key', '192.0.2.1', 'k2');
    await failing;
    state.down = false;
    await log.flush();
    expect(state.written).toEqual([
      expect.objectContaining({
        subject: 'api-key',
        data: {
          clientIp: '192.0.2.1',
          count: 2,
          firstAt: 1000,
          lastAt: 1500,
          keyIds: ['k2', 'k1'],
        },
      }),
    ]);
  });

  it('names whose token it was, and whose certificate, alike ones once — covers: P7', async () => {
    const { state, log } = setUp();
    const clientIp = '192.0.2.1';
    const certificate = { actor: 'user:grace', serialNumber: '0aff', sha256: 'ab' };
    for (const actor of ['user:ada', 'user:ada', 'user:eve'])
      log.recordCertificate({ clientIp, actor, certificate });
    log.recordCertificate({ clientIp, actor: 'user:ada' });
    log.recordCertificate({ clientIp, actor: '' });
    await log.flush();
    const times = { firstAt: 1000, lastAt: 1000, keyIds: [] };
    const another = { reason: 'of another user than the token', certificate };
    const told = (actor: string, count: number, data: object) => ({
      type: 'auth.failed',
      subject: 'certificate',
      actor,
      data: { clientIp, count, ...times, ...data },
    });
    expect(state.written).toEqual([
      told('user:ada', 2, another),
      told('user:eve', 1, another),
      told('user:ada', 1, { reason: 'a token without one' }),
      told('service:auth', 1, {}),
    ]);
  });

  it('of certificates is bounded as well', async () => {
    const { state, log } = setUp();
    for (let i = 0; i < 1500; i++) {
      const certificate = { actor: `user:${i}`, serialNumber: '01', sha256: `${i}` };
      log.recordCertificate({ clientIp: '192.0.2.1', actor: 'user:ada', certificate });
    }
    await log.flush();
    expect(state.written).toHaveLength(1001);
    expect(state.written.at(-1)).toMatchObject({
      actor: 'service:auth',
      data: { clientIp: 'others', count: 500 },
    });
  });

  it('is bounded: the thousandth and later addresses are told of together', async () => {
    const { state, log } = setUp();
    for (let i = 0; i < 1500; i++) log.record('setup-token', `h${i}`);
    await log.flush();
    expect(state.written).toHaveLength(1001);
    expect(state.written.at(-1)?.data).toMatchObject({ clientIp: 'others', count: 500 });
  });
});
