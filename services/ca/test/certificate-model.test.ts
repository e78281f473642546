import { randomUUID } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { type ModelCommand, runModel } from '@gigvault/testkit/model-run';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { getCertificateStatus } from '../src/certificates/get-certificate-status.ts';
import type { IssuanceOrder } from '../src/issuance/issuance-order.ts';
import { issueCertificate } from '../src/issuance/issue-certificate.ts';
import { reconcileIntents } from '../src/reconciliation/reconcile-intents.ts';
import { revokeCertificate } from '../src/revocation/revoke-certificate.ts';
import {
  type CaProcess,
  certificatesOf,
  check,
  request,
  startTestCa,
  type TestCa,
} from './test-ca.ts';
import type { SigningFault } from './test-keymgr.ts';

const REASONS = [0, 1, 3, 4, 5, 9];
const KEY_COMPROMISE = 1;

/** What the CA should know of one request. `lost`: signed or not, nobody was told, and the reconciler has not come by. */
interface Expected {
  readonly order: IssuanceOrder;
  state: 'requested' | 'lost' | 'issued' | 'abandoned' | 'revoked';
  serialNumber?: string;
  reason?: number;
}

interface Model {
  readonly requests: Expected[];
}

type Command = ModelCommand<Model, CaProcess>;

let ca: TestCa;
let ca1: CaProcess;

beforeAll(async () => {
  ca = await startTestCa();
  ca1 = ca.process();
});
afterAll(() => ca.stop());

/** The request that a number stands for. */
const pick = (model: Model, index: number) => model.requests[index % model.requests.length]!;

async function codeOf(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
    return 'OK';
  } catch (error) {
    if (error instanceof GigvaultError) return error.code;
    throw error;
  }
}

/** A request is made; nothing is asked of the CA yet. */
class Begin implements Command {
  check = () => true;
  toString = () => 'begin';
  async run(model: Model, real: CaProcess): Promise<void> {
    model.requests.push({ order: request(real, { requestId: randomUUID() }), state: 'requested' });
  }
}

/** Asked for, once more or for the first time: whatever is repeated, a request has one certificate. */
class Issue implements Command {
  constructor(readonly index: number) {}
  check = (model: Readonly<Model>) => model.requests.length > 0;
  toString = () => `issue(${this.index})`;
  async run(model: Model, real: CaProcess): Promise<void> {
    const expected = pick(model, this.index);
    if (expected.state === 'lost') return;
    if (expected.state === 'abandoned' && expected.reason === KEY_COMPROMISE) {
      // What was given up has been reported compromised: its key gets no certificate any more.
      const again = codeOf(() => issueCertificate(real.deps.issuance, expected.order));
      return expect(await again).toBe('BAD_PUBLIC_KEY');
    }
    const issued = await issueCertificate(real.deps.issuance, expected.order);
    if (expected.state === 'requested' || expected.state === 'abandoned') {
      expect(issued.serialNumber).not.toBe(expected.serialNumber);
      expected.state = 'issued';
      expected.serialNumber = issued.serialNumber;
    }
    expect(issued.serialNumber).toBe(expected.serialNumber);
  }
}

/** The key's answer gets lost, before or after it has signed. */
class LoseSigning implements Command {
  constructor(
    readonly index: number,
    readonly fault: SigningFault,
  ) {}
  check = (model: Readonly<Model>) =>
    model.requests.length > 0 && pick(model as Model, this.index).state === 'requested';
  toString = () => `lose(${this.index}, ${this.fault})`;
  async run(model: Model, real: CaProcess): Promise<void> {
    const expected = pick(model, this.index);
    ca.keymgr.fault = this.fault;
    ca.keymgr.closeFails = true;
    try {
      expect(await codeOf(() => issueCertificate(real.deps.issuance, expected.order))).not.toBe(
        'OK',
      );
    } finally {
      ca.keymgr.closeFails = false;
    }
    expected.state = 'lost';
  }
}

/** The reconciler settles what was lost: issued if a signature is recorded, revoked for ever otherwise. */
class Reconcile implements Command {
  check = () => true;
  toString = () => 'reconcile';
  async run(model: Model, real: CaProcess): Promise<void> {
    await reconcileIntents(real.reconcile, 0);
    for (const expected of model.requests.filter(({ state }) => state === 'lost')) {
      const rows = await certificatesOf(ca, expected.order.requestId);
      expect(rows).toHaveLength(1);
      expected.serialNumber = rows[0]!.serial_number;
      expected.state = rows[0]!.certificate === null ? 'abandoned' : 'issued';
    }
  }
}

/** Revoked once; afterwards only the reason may rise to keyCompromise, once. */
class Revoke implements Command {
  constructor(
    readonly index: number,
    readonly reason: number,
  ) {}
  check = (model: Readonly<Model>) =>
    model.requests.length > 0 && pick(model as Model, this.index).serialNumber !== undefined;
  toString = () => `revoke(${this.index}, ${this.reason})`;
  async run(model: Model, real: CaProcess): Promise<void> {
    const expected = pick(model, this.index);
    const { serialNumber = '', state, reason } = expected;
    const raises =
      state === 'revoked' && this.reason === KEY_COMPROMISE && reason !== KEY_COMPROMISE;
    const code = await codeOf(() =>
      revokeCertificate(real.deps.revocation, {
        serialNumber,
        issuerId: 'issuing',
        reasonCode: this.reason,
        actor: 'user:1',
      }),
    );
    if (state === 'abandoned') {
      if (code === 'OK') expected.reason = this.reason;
      return expect(code).not.toBe('INTERNAL');
    }
    expect(code).toBe(state === 'issued' || raises ? 'OK' : 'ALREADY_REVOKED');
    if (code !== 'OK') return;
    expected.state = 'revoked';
    expected.reason = this.reason;
  }
}

/** What everybody is told is what the model knows. */
class Look implements Command {
  check = () => true;
  toString = () => 'look';
  async run(model: Model, real: CaProcess): Promise<void> {
    const known = model.requests.filter(({ serialNumber }) => serialNumber !== undefined);
    const serialNumbers = known.map(({ serialNumber }) => serialNumber!);
    const statuses =
      known.length === 0
        ? []
        : await getCertificateStatus(real.deps.certificates, {
            issuerId: 'issuing',
            serialNumbers,
          });
    known.forEach(({ state, reason }, index) => {
      const told = statuses[index]!;
      expect(told.status).toBe(state === 'issued' ? 'good' : 'revoked');
      if (state === 'revoked') expect(told.reasonCode).toBe(reason);
    });
    for (const { order, state } of model.requests) {
      const rows = await certificatesOf(ca, order.requestId);
      const released = rows.filter(({ certificate }) => certificate !== null);
      expect(released.length).toBe(state === 'issued' || state === 'revoked' ? 1 : 0);
    }
  }
}

describe('the certificate state machine', () => {
  it('keeps to its model, whatever comes in whatever order — covers: T1, T2, T3, T4, T5, T56', async () => {
    const index = fc.nat(20);
    await runModel<Model, CaProcess>({
      commands: [
        fc.constant(new Begin()),
        index.map((i) => new Issue(i)),
        fc
          .tuple(index, fc.constantFrom<SigningFault>('failAndNotPersist', 'failButPersist'))
          .map(([i, fault]) => new LoseSigning(i, fault)),
        fc.constant(new Reconcile()),
        fc.tuple(index, fc.constantFrom(...REASONS)).map(([i, reason]) => new Revoke(i, reason)),
        fc.constant(new Look()),
      ],
      maxCommands: 40,
      runs: 25,
      begin: async () => ({ model: { requests: [] }, real: ca1 }),
    });
    await check(ca);
  }, 600_000);
});
