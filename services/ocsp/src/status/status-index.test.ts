import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { FakeClock } from '@gigvault/time/clock';
import { describe, expect, it } from '@jest/globals';
import type { CertificateState } from '../ports/certificate-state.ts';
import { createFreshness } from '../revocation/freshness.ts';
import { createStatusIndex } from './status-index.ts';

const GOOD: CertificateState = { status: 'good', revokedAt: 0, reasonCode: 0, notAfter: 9e12 };
const REVOKED: CertificateState = {
  status: 'revoked',
  revokedAt: 5,
  reasonCode: 1,
  notAfter: 9e12,
};
const MAX_AGE = 60_000;

function setup() {
  const clock = new FakeClock(1_000_000);
  const freshness = createFreshness(clock.now());
  const table = new Map<string, CertificateState>();
  const truth = new Map<string, CertificateState>();
  const asked: string[] = [];
  const world = { held: Promise.resolve(), caDown: false };
  const index = createStatusIndex({
    store: {
      async find(_issuer, serialNumber) {
        const state = table.get(serialNumber);
        await world.held;
        return state;
      },
    },
    source: {
      async ask(_issuer, serialNumber) {
        asked.push(serialNumber);
        const state = truth.get(serialNumber);
        await world.held;
        if (world.caDown) throw new GigvaultError('UNAVAILABLE', 'down');
        return state;
      },
    },
    freshness,
    clock,
    maxAge: MAX_AGE,
    maxEntries: 10,
  });
  return { clock, freshness, table, truth, asked, world, index };
}

describe('status index', () => {
  it('does not keep a state that was read before a change and arrives after it', async () => {
    const { table, world, index } = setup();
    table.set('01', GOOD);
    const hold = Promise.withResolvers<void>();
    world.held = hold.promise;
    const early = index.lookup('issuing', '01');
    table.set('01', REVOKED);
    index.changed([{ issuerId: 'issuing', serialNumber: '01' }]);
    const late = index.lookup('issuing', '01');
    hold.resolve();
    expect((await early).state).toEqual(GOOD);
    expect((await late).state).toEqual(REVOKED);
    expect((await index.lookup('issuing', '01')).state).toEqual(REVOKED);
  });

  it('never keeps that ca does not know a serial number: it may be issued the moment after (T53)', async () => {
    const { truth, asked, index } = setup();
    expect((await index.lookup('issuing', '01')).state).toBeUndefined();
    truth.set('01', GOOD);
    expect((await index.lookup('issuing', '01')).state).toEqual(GOOD);
    await index.lookup('issuing', '01');
    expect(asked).toHaveLength(2);
  });

  it('a good state is as old as the event log, a revoked one is true now', async () => {
    const { clock, freshness, table, index } = setup();
    table.set('01', GOOD).set('02', REVOKED);
    const asOf = freshness.asOf();
    clock.advance(MAX_AGE);
    expect((await index.lookup('issuing', '01')).asOf).toBe(asOf);
    expect((await index.lookup('issuing', '02')).asOf).toBe(clock.now());
    freshness.advance(clock.now());
    expect((await index.lookup('issuing', '01')).asOf).toBe(clock.now());
  });

  it('asks ca about good ones when the event log stands still, and falls back to what is known', async () => {
    const { clock, freshness, table, truth, asked, world, index } = setup();
    const asOf = freshness.asOf();
    table.set('01', GOOD);
    truth.set('01', REVOKED);
    expect((await index.lookup('issuing', '01')).state).toEqual(GOOD);
    clock.advance(MAX_AGE + 1);
    world.caDown = true;
    expect(await index.lookup('issuing', '01')).toEqual({ state: GOOD, asOf });
    world.caDown = false;
    expect((await index.lookup('issuing', '01')).state).toEqual(REVOKED);
    expect(asked).toEqual(['01', '01']);
  });

  it('a failed look-up is not kept', async () => {
    const { truth, world, index } = setup();
    world.caDown = true;
    await expect(index.lookup('issuing', '01')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    world.caDown = false;
    truth.set('01', GOOD);
    expect((await index.lookup('issuing', '01')).state).toEqual(GOOD);
  });
});
