import { type ChildProcess, fork } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { connect } from '@gigvault/testkit/check-pki';
import { MODES, REPOSITORY } from '@gigvault/testkit/pki-process';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { median, quantile } from '../../bench/statistics.ts';
import { QUICK_CRL, START_TIMEOUT, startAcmeClient, usePki } from '../use-pki.ts';
import type { FloodOrder, FloodReport, FloodSetup } from './flood.ts';
import { IN_TIME, LONG, RECOVERY } from './limits.ts';
import { startStatusProbe } from './status-probe.ts';

/** Clients that keep the server busy, and wait for it. */
const CLIENTS = 32;
/** Certificates that are asked for, for one that the server can make. */
const TIMES = 10;
/** How often the pace is measured: before, for the median; afterwards, at most, until it is as before. Whatever else a machine does comes and goes. */
const LOOKS = 3;
/**
 * Milliseconds; connections; the part of the peak that must be left; milliseconds for 99 % of the answers to those who were let in. Short, on
 * a machine that does something else as well, all of it is rough, and the peak is the lower one of before and after.
 */
const { peakTime, overloadTime, connections, goodput, answered } = LONG
  ? { peakTime: 10_000, overloadTime: 60_000, connections: 1_000, goodput: 0.9, answered: 1_000 }
  : { peakTime: 2_500, overloadTime: 5_000, connections: 300, goodput: 0.1, answered: 5_000 };

describe.each(MODES)('ten times the load, %s', (mode) => {
  const shared = usePki(mode, ...QUICK_CRL);
  let asked: string;
  let flood: ChildProcess;

  beforeAll(async () => {
    const { client, responder } = await startAcmeClient(shared);
    const chain = await client.certificate(['asked-about.localhost']);
    await responder.stop();
    asked = new X509Certificate(chain).serialNumber.toLowerCase();
    const program = join(REPOSITORY, 'services/gigvault/test/faults/flood.ts');
    flood = fork(program, { execArgv: ['--disable-warning=ExperimentalWarning'] });
    const { publicUrl, rootFile, ports } = shared.pki;
    const directory = `${publicUrl}/acme/directory`;
    await tell<'ready'>({ directory, rootFile, http01Port: ports.http01, connections });
  }, START_TIMEOUT);

  afterAll(() => {
    flood?.kill('SIGKILL');
  });

  it(
    'what is let in is done in time, the rest is told when to come back; then all is as before — covers: T20',
    async () => {
      // Whatever is compiled at first use.
      const warm = await tell({ ms: peakTime, clients: CLIENTS });
      const before: FloodReport[] = [];
      while (before.length < LOOKS) before.push(await tell({ ms: peakTime, clients: CLIENTS }));
      const first = median(before.map(rateOf));
      const probe = await startStatusProbe(shared.pki, asked);
      const during = await tell({ ms: overloadTime, rate: TIMES * first });
      const status = await probe.stop();
      const after: FloodReport[] = [];
      let again = 0;
      while (after.length < LOOKS && again <= goodput * first) {
        after.push(await tell({ ms: peakTime, clients: CLIENTS }));
        again = Math.max(again, rateOf(after.at(-1)!));
      }
      process.stderr.write(`  ${mode}: ${described(first, during, again, status.times)}\n`);

      const all = [warm, ...before, during, ...after];
      expect(all.flatMap(({ failures }) => failures)).toEqual([]);
      expect(await certificates()).toBeGreaterThanOrEqual(
        all.reduce((sum, { issued }) => sum + issued, 0),
      );
      expect(during.turnedAway).toBeGreaterThan(during.issued);
      expect(during.withNonce).toBeGreaterThan(during.turnedAway / 2);
      const peak = LONG ? first : Math.min(first, again);
      expect(rateOf(during)).toBeGreaterThan(goodput * peak);
      expect(quantile(during.times, 0.99)).toBeLessThan(answered);
      expect(status.wrong).toEqual([]);
      expect(quantile(status.times, 0.99)).toBeLessThan(IN_TIME);
      expect(after.reduce((sum, { turnedAway }) => sum + turnedAway, 0)).toBe(0);
      expect(again).toBeGreaterThan(goodput * first);
    },
    START_TIMEOUT + overloadTime + (2 * LOOKS + 1) * peakTime + RECOVERY,
  );

  /** Those of ACME clients that are in the database. Each that a client has is one of them. */
  async function certificates(): Promise<number> {
    const database = await connect(shared.pki);
    try {
      const { rows } = await database.query<{ count: string }>(
        `SELECT count(*) FROM ca.certificate WHERE certificate IS NOT NULL AND protocol = 'acme'`,
      );
      return Number(rows[0]?.count);
    } finally {
      await database.end();
    }
  }

  async function tell<T = FloodReport>(what: FloodSetup | FloodOrder): Promise<T> {
    flood.send(what);
    const ended = new AbortController();
    const { signal } = ended;
    return Promise.race([
      once(flood, 'message', { signal }).then(([message]) => message as T),
      once(flood, 'exit', { signal }).then(([code]) => Promise.reject(new Error(`ended: ${code}`))),
    ]).finally(() => ended.abort());
  }
});

/** Certificates a second while orders came. */
function rateOf({ issuedInTime, seconds }: FloodReport): number {
  return issuedInTime / seconds;
}

function described(
  peak: number,
  during: FloodReport,
  again: number,
  status: readonly number[],
): string {
  const done = rateOf(during);
  const percent = (part: number) => `${((100 * part) / peak).toFixed(0)} %`;
  const { turnedAway, delayed, unsent, begun, times } = during;
  return [
    `peak ${peak.toFixed(0)}/s`,
    `of ${(begun / during.seconds).toFixed(0)}/s then asked for ${done.toFixed(0)}/s were done (${percent(done)})`,
    `${turnedAway} of ${begun} turned away, ${unsent} not sent, ${delayed} answers put off`,
    `p99 of the rest ${quantile(times, 0.99).toFixed(0)} ms, of OCSP and CRLs ${quantile(status, 0.99).toFixed(0)} ms`,
    `afterwards ${again.toFixed(0)}/s (${percent(again)})`,
  ].join('; ');
}
