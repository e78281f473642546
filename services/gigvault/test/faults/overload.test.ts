import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type AcmeClient, createAcmeClient } from '@gigvault/testkit/acme-client';
import { type Http01Responder, startHttp01Responder } from '@gigvault/testkit/http-01-responder';
import { type HttpClient, httpClient } from '@gigvault/testkit/http-client';
import { MODES } from '@gigvault/testkit/pki-process';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { QUICK_CRL, START_TIMEOUT, startAcmeClient, usePki } from '../use-pki.ts';
import { observe, startAcmeLoad } from './acme-load.ts';
import { IN_TIME, LONG, RECOVERY } from './limits.ts';
import { startStatusProbe } from './status-probe.ts';

/** Clients that keep the server busy without waiting for each other. */
const CLIENTS = 16;
/** Milliseconds over which the peak is measured. */
const PEAK_TIME = LONG ? 15_000 : 4_000;
/** Milliseconds of overload. */
const OVERLOAD_TIME = LONG ? 60_000 : 8_000;
/** Certificates that are asked for in that time, for one that the server can make. */
const TIMES = 10;
/** The part of the peak that must be left. Short, the load's own start and end weigh as much as the load. */
const GOODPUT = LONG ? 0.9 : 0.4;
/** More than the server takes on at one time: what waits must wait there. */
const SOCKETS = 2_000;
/** Accounts that share the orders. */
const ACCOUNTS = 32;

describe.each(MODES)('ten times the load, %s', (mode) => {
  const shared = usePki(mode, ...QUICK_CRL);
  let responder: Http01Responder;
  let http: HttpClient;

  beforeAll(() => {
    http = httpClient(readFileSync(shared.pki.rootFile), { maxSockets: SOCKETS });
  });

  afterAll(async () => {
    http?.close();
    await responder?.stop();
  });

  it(
    'what is admitted is done, the rest is told when to come back; then all is as before — covers: T20',
    async () => {
      const { pki } = shared;
      const one = await startAcmeClient(shared);
      const chain = await one.client.certificate(['asked-about.localhost']);
      await one.responder.stop();
      const before = await startAcmeLoad(pki, CLIENTS);
      const peak = await rateOf(before.count, PEAK_TIME);
      await before.stop();

      const probe = await startStatusProbe(
        pki,
        new X509Certificate(chain).serialNumber.toLowerCase(),
      );
      const flood = await startFlood(TIMES * peak);
      const { wrong, times } = await probe.stop();
      const goodput = (flood.issued * 1_000) / OVERLOAD_TIME;
      process.stderr.write(
        `  ${mode}: peak ${peak.toFixed(0)}/s; at ${(TIMES * peak).toFixed(0)}/s goodput ${goodput.toFixed(0)}/s, turned away ${flood.refused} of ${flood.begun}; status p100 ${times.at(-1)?.toFixed(0)} ms\n`,
      );
      expect(flood.failures).toEqual([]);
      expect(flood.refused).toBeGreaterThan(0);
      expect(goodput).toBeGreaterThan(GOODPUT * peak);
      expect(wrong).toEqual([]);
      expect(times.at(-1)).toBeLessThan(IN_TIME);

      await responder.stop();
      const after = await startAcmeLoad(pki, CLIENTS);
      expect(await after.next()).toBeLessThan(RECOVERY);
      await after.stop();
      for (const load of [before, after]) {
        expect(load.surprises).toEqual([]);
        expect(await load.lost()).toEqual([]);
      }
    },
    4 * START_TIMEOUT,
  );

  /**
   * Begins orders at this rate, whatever becomes of those before. One that is turned away is not begun again; one that was admitted is
   * carried to its end.
   *
   * @param rate per second
   */
  async function startFlood(rate: number) {
    const { publicUrl, ports } = shared.pki;
    responder = await startHttp01Responder(ports.http01);
    const watched = observe(http);
    const options = {
      http: watched.http,
      publicUrl,
      responder,
      patience: 60_000,
      orderPatience: 0,
    };
    const accounts = await Promise.all(
      Array.from({ length: ACCOUNTS }, () => createAcmeClient(options)),
    );
    const start = systemClock.now();
    const end = start + OVERLOAD_TIME;
    const seen = { begun: 0, issued: 0, refused: 0 };
    const failures: string[] = [];

    async function order(number: number): Promise<void> {
      const client = accounts[number % ACCOUNTS] as AcmeClient;
      const names = [`f${number}.localhost`];
      const begun = await client.newOrder(names).catch((error: Error) => error);
      if (begun instanceof Error) {
        seen.refused++;
        if (!/^(503: |no nonce: 503$)/.test(begun.message)) failures.push(begun.message);
        return;
      }
      await client.finish(begun, names).catch((error) => failures.push(String(error)));
      if (systemClock.now() <= end) seen.issued++;
    }

    async function flood(): Promise<void> {
      const orders: Promise<void>[] = [];
      while (systemClock.now() < end) {
        const due = ((systemClock.now() - start) * rate) / 1_000;
        while (seen.begun < due) orders.push(order(seen.begun++));
        await systemClock.sleep(5);
      }
      await Promise.all(orders);
    }

    await flood();
    return { ...seen, failures: [...failures, ...watched.surprises] };
  }
});

/** How many are added in a second, over this time. */
async function rateOf(count: () => number, time: number): Promise<number> {
  const before = count();
  const start = systemClock.now();
  await systemClock.sleep(time);
  return ((count() - before) * 1_000) / (systemClock.now() - start);
}
