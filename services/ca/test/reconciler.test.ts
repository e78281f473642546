import { eventually } from '@gigvault/testkit/eventually';
import { FakeClock } from '@gigvault/time/clock';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { issueCertificate } from '../src/issuance/issue-certificate.ts';
import { reconcileIntents } from '../src/reconciliation/reconcile-intents.ts';
import { check, dieAt, request, startTestCa, type TestCa } from './test-ca.ts';

let ca: TestCa;

beforeAll(async () => {
  ca = await startTestCa();
});
afterEach(() => check(ca));
afterAll(() => ca.stop());

describe('the reconciler', () => {
  it('leaves alone what this process works on, and what is young', async () => {
    const process = ca.process();
    const order = request(process);
    await dieAt(process, order, 'keymgr.signature', 'before');
    expect(await reconcileIntents(process.reconcile, 0)).toEqual({
      finished: 0,
      abandoned: 0,
      failed: 0,
    });
    expect(await reconcileIntents(ca.process().reconcile, 60_000)).toEqual({
      finished: 0,
      abandoned: 0,
      failed: 0,
    });
    expect(await reconcileIntents(ca.process().reconcile, 0)).toMatchObject({ abandoned: 1 });
  });

  it('settles what a process left behind whose clock was an hour ahead — covers: T15', async () => {
    const dead = ca.process();
    await dieAt(dead, request(dead), 'keymgr.signature', 'before');
    const { reconcile } = ca.process();
    // As seen by the right clock, it was opened an hour from now.
    const clock = new FakeClock(reconcile.clock.now() - 3_600_000);
    expect(await reconcileIntents({ ...reconcile, clock }, 60_000)).toEqual({
      finished: 0,
      abandoned: 1,
      failed: 0,
    });
  });

  it('reaches what is left behind any number that this process works on (covers: T3, T4)', async () => {
    const busy = ca.process();
    // The first waits at the key, the others behind it.
    await dieAt(busy, request(busy), 'keymgr.signature', 'before');
    for (let i = 0; i < 4; i++) void issueCertificate(busy.deps.issuance, request(busy));
    await eventually(async () => {
      const { rows } = await ca.pool.query(`SELECT FROM intent WHERE status = 'open'`);
      expect(rows).toHaveLength(5);
    });
    const dead = ca.process();
    await dieAt(dead, request(dead), 'keymgr.signature', 'before');
    const nothing = { finished: 0, abandoned: 0, failed: 0 };
    expect(await reconcileIntents({ ...busy.reconcile, pageSize: 2 }, 0)).toEqual({
      ...nothing,
      abandoned: 1,
    });
    expect(await reconcileIntents(ca.process().reconcile, 0, AbortSignal.abort())).toEqual(nothing);
    expect(await reconcileIntents(ca.process().reconcile, 0)).toEqual({
      ...nothing,
      abandoned: 5,
    });
  });
});
