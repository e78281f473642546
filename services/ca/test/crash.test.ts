import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { eventually } from '@gigvault/testkit/eventually';
import { systemClock } from '@gigvault/time/clock';
import { assembleSigned } from '@gigvault/x509/certificate';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { getCertificateStatus } from '../src/certificates/get-certificate-status.ts';
import { abandonedEvent, issuedEvent } from '../src/issuance/issuance-events.ts';
import type { IssuanceOrder } from '../src/issuance/issuance-order.ts';
import { issueCertificate } from '../src/issuance/issue-certificate.ts';
import type { IntentStore } from '../src/ports/intent-store.ts';
import type { SigningOrder } from '../src/ports/signer.ts';
import { reconcileIntents } from '../src/reconciliation/reconcile-intents.ts';
import {
  type CaProcess,
  certificatesOf,
  check,
  dieAt,
  eventsAbout,
  request,
  startTestCa,
  type TestCa,
} from './test-ca.ts';

let ca: TestCa;

beforeAll(async () => {
  ca = await startTestCa();
});
afterEach(async () => {
  installFaultHook(undefined);
  await check(ca);
});
afterAll(() => ca.stop());

const STEPS = ['ca.intent', 'keymgr.signature', 'ca.certificate'] as const;
const POINTS = STEPS.flatMap((step) => [[step, 'before'] as const, [step, 'after'] as const]);

/** Whether the signature exists when the process dies there: then the certificate must come of it. */
const SIGNED = new Set(['keymgr.signature after', 'ca.certificate before', 'ca.certificate after']);

describe.each(POINTS)(
  'a process that dies at %s, %s it is durable (covers: T3, T4, T5, L3)',
  (step, moment) => {
    const isSigned = SIGNED.has(`${step} ${moment}`);
    const hasIntent = `${step} ${moment}` !== 'ca.intent before';

    it('leaves a request that a retry finishes, with one certificate', async () => {
      const dead = ca.process();
      const order = request(dead);
      await dieAt(dead, order, step, moment);
      const next = ca.process();
      const issued = await issueCertificate(next.deps.issuance, order);
      const rows = await certificatesOf(ca, order.requestId);
      expect(rows.filter((row) => row.status === 'valid').map((row) => row.serial_number)).toEqual([
        issued.serialNumber,
      ]);
      expect(rows).toHaveLength(hasIntent && !isSigned ? 2 : 1);
    });

    it('leaves an intent that the reconciler settles; OCSP never calls it good before', async () => {
      const dead = ca.process();
      const order = request(dead);
      await dieAt(dead, order, step, moment);
      const { rows } = await ca.pool.query<{ serial_number: string }>(
        `SELECT serial_number FROM intent WHERE request_id = $1 AND status = 'open'`,
        [order.requestId],
      );
      const open = rows.map((row) => row.serial_number);
      if (open.length > 0) expect(await statusOf(open)).toEqual(['unknown']);
      const report = await reconcileIntents(ca.process().reconcile, 0);
      const expected = open.length === 0 ? 'nothing' : isSigned ? 'finished' : 'abandoned';
      expect(report).toEqual({
        finished: expected === 'finished' ? 1 : 0,
        abandoned: expected === 'abandoned' ? 1 : 0,
        failed: 0,
      });
      if (expected === 'abandoned') expect(await statusOf(open)).toEqual(['revoked']);
      if (expected === 'finished') expect(await statusOf(open)).toEqual(['good']);
    });
  },
);

async function statusOf(serialNumbers: string[]): Promise<string[]> {
  const { certificates } = ca.process().deps;
  return (await getCertificateStatus(certificates, { issuerId: 'issuing', serialNumbers })).map(
    (s) => s.status,
  );
}

describe('an intent whose process died longer ago than the grace (covers: T3)', () => {
  it('is closed at once: nobody waits for it once more', async () => {
    const dead = ca.process();
    const order = request(dead);
    await dieAt(dead, order, 'ca.intent', 'after');
    const later = { ...systemClock, now: () => systemClock.now() + 3_600_000 };
    const next = ca.process({ reconciliation: { grace: '1h' } }, later);
    const issued = await issueCertificate(next.deps.issuance, order);
    const rows = await certificatesOf(ca, order.requestId);
    expect(rows.map(({ status }) => status).sort()).toEqual(['revoked', 'valid']);
    expect(rows.find(({ status }) => status === 'valid')?.serial_number).toBe(issued.serialNumber);
  });
});

describe('a request that would be refused by now (covers: T3)', () => {
  const blockKeyOf = (order: IssuanceOrder) =>
    ca.pool.query(
      `INSERT INTO blocked_key (spki_sha256, reason, created_at)
       SELECT spki_sha256, 'keyCompromise', 1 FROM intent WHERE request_id = $1`,
      [order.requestId],
    );

  it('gets the certificate that was signed before the process died', async () => {
    const dead = ca.process();
    const order = request(dead);
    await dieAt(dead, order, 'keymgr.signature', 'after');
    await blockKeyOf(order);
    const issued = await issueCertificate(ca.process().deps.issuance, order);
    expect(await certificatesOf(ca, order.requestId)).toMatchObject([
      { serial_number: issued.serialNumber, status: 'valid' },
    ]);
  });

  it('is refused when nothing was signed, and nothing is signed afterwards', async () => {
    const dead = ca.process();
    const order = request(dead);
    await dieAt(dead, order, 'ca.intent', 'after');
    await blockKeyOf(order);
    await expect(issueCertificate(ca.process().deps.issuance, order)).rejects.toMatchObject({
      code: 'BAD_PUBLIC_KEY',
    });
    expect(await certificatesOf(ca, order.requestId)).toMatchObject([{ status: 'revoked' }]);
  });
});

describe('keymgr that breaks', () => {
  it('before the signature is recorded: the intent is given up, the caller may retry (failAndNotPersist)', async () => {
    const process = ca.process();
    const order = request(process);
    ca.keymgr.fault = 'failAndNotPersist';
    await expect(issueCertificate(process.deps.issuance, order)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    const [abandoned] = await certificatesOf(ca, order.requestId);
    expect(abandoned).toMatchObject({ status: 'revoked', certificate: null });
    const issued = await issueCertificate(process.deps.issuance, order);
    expect(issued.serialNumber).not.toBe(abandoned?.serial_number);
    const events = await eventsAbout(ca, [abandoned!.serial_number]);
    expect(events.map((event) => event.type)).toEqual([
      'certificate.intended',
      'certificate.abandoned',
    ]);
    expect(events[1]?.data).toMatchObject({
      reasonCode: 4,
      issuerId: 'issuing',
      crlShard: 0,
      requestId: order.requestId,
    });
  });

  it('after the signature is recorded: the recorded one is used, nothing is signed again (failButPersist)', async () => {
    const process = ca.process();
    const order = request(process);
    ca.keymgr.fault = 'failButPersist';
    const issued = await issueCertificate(process.deps.issuance, order);
    expect(await certificatesOf(ca, order.requestId)).toMatchObject([
      { serial_number: issued.serialNumber, status: 'valid' },
    ]);
  });

  it('and stays away: the intent stays open, the next retry settles it', async () => {
    const process = ca.process();
    const order = request(process);
    ca.keymgr.fault = 'failButPersist';
    ca.keymgr.closeFails = true;
    await expect(issueCertificate(process.deps.issuance, order)).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    await expect(reconcileIntents(process.reconcile, 0)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    ca.keymgr.closeFails = false;
    await issueCertificate(process.deps.issuance, order);
    expect(await certificatesOf(ca, order.requestId)).toHaveLength(1);
  });

  it('by refusing: the serial number counts as revoked, the refusal is passed on', async () => {
    const process = ca.process();
    const order = request(process);
    ca.keymgr.fault = 'refuse';
    await expect(issueCertificate(process.deps.issuance, order)).rejects.toMatchObject({
      code: 'KEY_USE_REFUSED',
    });
    expect(await certificatesOf(ca, order.requestId)).toMatchObject([{ status: 'revoked' }]);
  });

  it('with a wrong signature: nothing is released (covers: T13)', async () => {
    const process = ca.process();
    const order = request(process);
    ca.keymgr.fault = 'wrongSignature';
    await expect(issueCertificate(process.deps.issuance, order)).rejects.toMatchObject({
      code: 'KEY_UNAVAILABLE',
    });
    expect(await certificatesOf(ca, order.requestId)).toMatchObject([
      { status: 'revoked', certificate: null },
    ]);
    await issueCertificate(process.deps.issuance, order);
  });
});

describe('a database that breaks', () => {
  const lost = new GigvaultError('UNAVAILABLE', 'lost');

  /** The store whose next call of `method` fails before (…AndNotPersist) or after (…ButPersist) it took effect. */
  function broken(store: IntentStore, method: 'open' | 'complete', persists: boolean): IntentStore {
    let armed = true;
    return {
      ...store,
      async [method](...args: never[]) {
        const run = () => (store[method] as (...args: never[]) => Promise<unknown>)(...args);
        if (!armed) return run();
        armed = false;
        if (persists) await run();
        throw lost;
      },
    };
  }

  it.each([
    ['open', false, 1],
    ['open', true, 2],
    ['complete', false, 1],
    ['complete', true, 1],
  ] as const)('%s, persisted: %s: a retry gets one certificate', async (method, persists, rows) => {
    const process = ca.process();
    const order = request(process);
    const deps = {
      ...process.deps.issuance,
      intents: broken(process.deps.issuance.intents, method, persists),
    };
    await issueCertificate(deps, order).catch((error) => expect(error).toBe(lost));
    const issued = await issueCertificate(deps, order);
    const stored = await certificatesOf(ca, order.requestId);
    expect(stored).toHaveLength(rows);
    expect(stored.filter((row) => row.status === 'valid').map((row) => row.serial_number)).toEqual([
      issued.serialNumber,
    ]);
  });
});

describe('an intent', () => {
  const event = { type: 'certificate.issued', actor: 'a', subject: 'late', data: {} } as const;
  const revocation = { at: 1, reasonCode: 4 };

  it('that was given up cannot be issued any more', async () => {
    const process = ca.process();
    const order = request(process);
    const { intents } = process.deps.issuance;
    await dieAt(process, order, 'keymgr.signature', 'before');
    const state = await intents.findByRequest(order.requestId);
    expect(
      await intents.abandon(
        state!.intent,
        revocation,
        abandonedEvent(state!.intent, revocation, 'test'),
      ),
    ).toBe(true);
    expect(await intents.complete(state!.intent, Buffer.from('late'), event)).toBe(false);
    expect(await intents.abandon(state!.intent, revocation, event)).toBe(false);
    expect(await eventsAbout(ca, ['late'])).toHaveLength(0);
  });

  /** An intent whose signature exists, and the certificate that comes of it. */
  async function signed(process: CaProcess) {
    const { intents, issuers, signer } = process.deps.issuance;
    const order = request(process);
    await dieAt(process, order, 'ca.certificate', 'before');
    const { intent } = (await intents.findByRequest(order.requestId))!;
    const closed = await signer.close(intent.intentId);
    const { signatureAlgorithm } = await issuers.get(intent.issuerId);
    if (!('signature' in closed)) throw new Error('there is no signature');
    return {
      intent,
      certificate: assembleSigned(intent.tbs, signatureAlgorithm, closed.signature),
    };
  }

  it('is completed twice at once: one certificate, one event, and both are told', async () => {
    const { intent, certificate } = await signed(ca.process());
    const { intents } = ca.process().deps.issuance;
    const about = issuedEvent(intent, certificate);
    const outcomes = await Promise.all([
      intents.complete(intent, certificate, about),
      intents.complete(intent, certificate, about),
      intents.complete(intent, Buffer.from('other'), event),
    ]);
    expect(outcomes).toEqual([true, true, false]);
    const events = await eventsAbout(ca, [intent.serialNumber, 'late']);
    expect(events.filter(({ type }) => type === 'certificate.issued')).toHaveLength(1);
  });

  it('whose signature exists is stored, however many wait to be opened — covers: T20', async () => {
    const process = ca.process({ batch: { maxItems: 1, maxQueue: 1 } });
    const { intents } = process.deps.issuance;
    const order = request(process);
    await issueCertificate(process.deps.issuance, order);
    const other = (await intents.findByRequest(order.requestId))!.intent;
    const { intent, certificate } = await signed(ca.process());
    const openings = [1, 2, 3].map(() =>
      intents.open(other, event).catch((error) => (error as GigvaultError).code),
    );
    const stored = await intents.complete(intent, certificate, issuedEvent(intent, certificate));
    expect(stored).toBe(true);
    expect(await Promise.all(openings)).toContain('UNAVAILABLE');
  });

  it('is left to the process that opened it while that lives, and taken over when it dies (covers: T5)', async () => {
    const [opener, other] = [ca.process(), ca.process()];
    await opener.holder.start();
    await other.holder.start();
    await eventually(() => expect(opener.holder.id()).toBeDefined());
    const order = request(opener);
    // It waits for its turn at the key, longer than the grace, which is 0 s here.
    const turn = Promise.withResolvers<void>();
    const signer = {
      ...opener.deps.issuance.signer,
      async sign(signing: SigningOrder) {
        await turn.promise;
        return opener.deps.issuance.signer.sign(signing);
      },
    };
    const first = issueCertificate({ ...opener.deps.issuance, signer }, order);
    await eventually(async () =>
      expect(await other.deps.issuance.intents.findByRequest(order.requestId)).toMatchObject({
        status: 'open',
        held: true,
      }),
    );
    const retry = issueCertificate(other.deps.issuance, order);
    await reconcileIntents(other.reconcile, 0);
    turn.resolve();
    expect((await retry).serialNumber).toBe((await first).serialNumber);

    const left = request(opener);
    await dieAt(opener, left, 'ca.intent', 'after');
    await opener.holder.stop();
    expect((await issueCertificate(other.deps.issuance, left)).certificate).toBeDefined();
    await other.holder.stop();
  });

  it('that was issued stays so: the same certificate again is welcome, another is not', async () => {
    const process = ca.process();
    const order = request(process);
    const { intents } = process.deps.issuance;
    const { certificate } = await issueCertificate(process.deps.issuance, order);
    const state = await intents.findByRequest(order.requestId);
    expect(await intents.complete(state!.intent, certificate, event)).toBe(true);
    expect(await intents.complete(state!.intent, Buffer.from('other'), event)).toBe(false);
    expect(await intents.abandon(state!.intent, revocation, event)).toBe(false);
    expect(await intents.open(state!.intent, event)).toBe('request-taken');
    expect(await eventsAbout(ca, ['late'])).toHaveLength(0);
  });
});
