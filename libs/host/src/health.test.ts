import { FakeClock } from '@gigvault/time/clock';
import { describe, expect, it } from '@jest/globals';
import { createHealth, healthReply } from './health.ts';
import type { HealthCheck } from './service.ts';

const well: HealthCheck = { name: 'database', check: async () => undefined };
const broken: HealthCheck = {
  name: 'crl.freshness',
  check: async () => {
    throw new Error('The CRL of issuing is an hour old.');
  },
};
const noCa: HealthCheck = { ...broken, name: 'ca.issuers', failing: 501 };

function ready(...checks: HealthCheck[]) {
  const clock = new FakeClock(0);
  const health = createHealth(() => checks, clock);
  health.setReady(true);
  return { health, clock };
}

describe('the health tree', () => {
  it('is well when every leaf is', async () => {
    const answer = await healthReply(ready(well).health, {}, 'health');
    expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } });
    expect(answer.body).toEqual({ status: 'ok' });
  });

  it('is not when one is not, and tells which only when asked', async () => {
    const { health } = ready(well, broken);
    expect(await healthReply(health, {}, 'ready')).toMatchObject({
      status: 503,
      body: { status: 'failing' },
    });
    const { body } = await healthReply(health, { verbose: '' }, 'ready');
    expect(body).toEqual({
      status: 'failing',
      checks: [
        { name: 'database', ok: true, latencyMs: 0 },
        {
          name: 'crl.freshness',
          ok: false,
          latencyMs: 0,
          message: 'The CRL of issuing is an hour old.',
        },
      ],
    });
  });

  it.each([['crl.freshness'], ['other,crl.freshness'], [['other', 'crl.freshness']]])(
    'leaves out what it is told to: %j',
    async (exclude) => {
      const { health } = ready(well, broken);
      const answer = await healthReply(health, { exclude, verbose: '' }, 'ready');
      expect(answer.status).toBe(200);
      expect(JSON.stringify(answer.body)).not.toContain('crl');
    },
  );

  it('is ready with an alarm that serving does not need, and says so only as health', async () => {
    const alarm = { ...broken, blocksReadiness: false } as const;
    const { health } = ready(well, alarm);
    const answer = await healthReply(health, { verbose: '' }, 'ready');
    expect(answer.status).toBe(200);
    expect(JSON.stringify(answer.body)).not.toContain('crl');
    expect((await healthReply(health, {}, 'health')).status).toBe(503);
  });

  it('does not wait for a leaf longer than a second', async () => {
    const stuck: HealthCheck = { name: 'keystore', check: () => new Promise(() => undefined) };
    const { health, clock } = ready(well, stuck);
    const answer = healthReply(health, { verbose: '' }, 'health');
    await new Promise(setImmediate);
    clock.advance(1_000);
    expect(await answer).toMatchObject({
      status: 503,
      body: { checks: [{ ok: true }, { latencyMs: 1_000, message: 'no answer within 1000 ms' }] },
    });
  });

  it('asks every leaf at the same time', async () => {
    let running = 0;
    let most = 0;
    const slow = (name: string): HealthCheck => ({
      name,
      async check() {
        most = Math.max(most, ++running);
        await new Promise(setImmediate);
        running--;
      },
    });
    await ready(slow('a'), slow('b'), slow('c')).health.check('health', []);
    expect(most).toBe(3);
  });

  it('is 501 for `healthz` when all that is wrong is that there is no CA yet', async () => {
    expect((await healthReply(ready(well, noCa).health, {}, 'health')).status).toBe(501);
    expect((await healthReply(ready(well, noCa).health, {}, 'ready')).status).toBe(503);
    expect((await healthReply(ready(broken, noCa).health, {}, 'health')).status).toBe(503);
  });

  it('is 503 before the start is over and from the first moment of a stop', async () => {
    const health = createHealth(() => [well], new FakeClock(0));
    const state = async () => {
      const { status, body } = await healthReply(health, {}, 'health');
      return [status, body];
    };
    expect(await state()).toEqual([503, { status: 'starting' }]);
    health.setReady(true);
    expect(await state()).toEqual([200, { status: 'ok' }]);
    health.setReady(false);
    expect(await state()).toEqual([503, { status: 'draining' }]);
  });
});
