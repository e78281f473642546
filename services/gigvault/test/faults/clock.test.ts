import { X509Certificate } from 'node:crypto';
import type { ServiceName } from '@gigvault/rpc/service-name';
import { newRequest } from '@gigvault/testkit/acme-client';
import { connect } from '@gigvault/testkit/check-pki';
import { eventually } from '@gigvault/testkit/eventually';
import { systemClock } from '@gigvault/time/clock';
import { readCertList } from '@gigvault/x509/crl';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Operators, operatorsOf } from '../operators-of.ts';
import { QUICK_CRL, startAcmeClient, usePki } from '../use-pki.ts';
import { modesFor, RECOVERY } from './limits.ts';
import { useSetClock } from './set-clock.ts';

const HOUR = 3_600_000;

const setClock = useSetClock();

// Each process sees the change at a moment of its own.
describe.each(modesFor('split'))('the clock, %s', (mode) => {
  const shared = usePki(mode, ...QUICK_CRL);
  let acme: Awaited<ReturnType<typeof startAcmeClient>>;
  const operators = new Map<ServiceName, Operators>();

  beforeAll(async () => {
    for (const name of ['ca', 'crl', 'ocsp'] as const)
      operators.set(name, operatorsOf(name, mode, shared.pki));
    acme = await startAcmeClient(shared);
  });

  afterAll(() => {
    setClock('+0');
    for (const { http } of operators.values()) http.close();
    return acme?.responder.stop();
  });

  const healthy = async () =>
    (await shared.http.fetch(`${shared.pki.publicUrl}/health`)).status === 200;

  /** Each process sees the change at a moment of its own. */
  const noticed = async (service: ServiceName) => {
    const { http, admin } = operators.get(service)!;
    const { checks } = (await http.fetch(`${admin}/admin/v1/healthz?verbose`)).json<{
      checks: { name: string; ok: boolean }[];
    }>();
    return checks.some(({ name, ok }) => name === `${service}.clock` && !ok);
  };

  const crlRounds = async () => {
    const { http, metrics } = operators.get('crl')!;
    const { text } = await http.fetch(metrics);
    return Number(/^gigvault_crl_rounds_total (\d+)$/m.exec(text)![1]);
  };

  const crl = async () =>
    readCertList((await shared.http.fetch(`${shared.pki.statusUrl}/crl/issuing/0.crl`)).body);

  it.each(['+1h', '-1h', '+5m'])(
    'is set by %s under an order: nothing is signed until it is back — covers: T15',
    async (change) => {
      const { client } = acme;
      const name = `clock${change.replace(/[+]/, 'p')}.localhost`;
      const order = await client.prove(await client.newOrder([name]));
      expect(await healthy()).toBe(true);
      setClock(change);
      await eventually(async () => expect(await noticed('ca')).toBe(true));
      const { csr } = newRequest([name]);
      const answer = await client.post(order.finalize, { csr });
      // Either it says so at once, or it has taken the order and works on it: there is no certificate.
      if (answer.status === 200) expect(answer.json()).toMatchObject({ status: 'processing' });
      else expect([answer.status, answer.headers['retry-after']]).toEqual([503, expect.anything()]);
      expect((await shared.http.fetch(`${shared.pki.publicUrl}/ready`)).status).toBe(200);
      expect((await client.post(order.url, '')).json()).not.toHaveProperty('certificate');

      setClock('+0');
      const back = systemClock.now();
      if (answer.status !== 200) await client.post(order.finalize, { csr });
      const { certificate } = await client.settled(order);
      expect(systemClock.now() - back).toBeLessThan(RECOVERY);
      const { text } = await client.post(String(certificate), '');
      const notBefore = Date.parse(new X509Certificate(text).validFrom);
      expect(systemClock.now() - notBefore).toBeLessThan(HOUR + 60_000);
      expect(notBefore).toBeLessThanOrEqual(systemClock.now());
      await eventually(async () => expect(await healthy()).toBe(true));
    },
    60_000,
  );

  it('is set forward under a revocation: no CRL comes from the future, and it is listed once the clock is back — covers: T15', async () => {
    const { client } = acme;
    const pem = await client.certificate(['forward.localhost']);
    const { raw, serialNumber } = new X509Certificate(pem);
    setClock('+3h');
    for (const service of ['ca', 'crl', 'ocsp'] as const)
      await eventually(async () => expect(await noticed(service)).toBe(true));
    const { crlNumber } = await crl();
    expect((await client.revoke(raw, 4)).status).toBe(200);
    const database = await connect(shared.pki);
    try {
      // crl knows of it, and has had a whole round since: one that makes a CRL, if any does.
      await eventually(async () => {
        const text = 'SELECT 1 FROM crl.revoked WHERE serial_number = $1';
        expect((await database.query(text, [serialNumber.toLowerCase()])).rows).toHaveLength(1);
      });
      const known = await crlRounds();
      await eventually(async () => expect(await crlRounds()).toBeGreaterThan(known + 1));
      // Each in the table, not only the one that is served: a later one may have taken its place.
      const text = 'SELECT crl_number FROM crl.crl WHERE this_update > $1';
      expect((await database.query(text, [systemClock.now()])).rows).toEqual([]);
    } finally {
      await database.end();
    }
    expect((await crl()).crlNumber).toBe(crlNumber);
    setClock('+0');
    const back = systemClock.now();
    const entry = await eventually(async () => {
      const { thisUpdate, entries } = await crl();
      expect(thisUpdate).toBeLessThanOrEqual(systemClock.now());
      const found = [...entries()].find((one) => one.serialNumber === serialNumber.toLowerCase());
      expect(found).toBeDefined();
      return found!;
    }, RECOVERY);
    expect(entry.revokedAt).toBeLessThanOrEqual(back);
    await eventually(async () => expect(await healthy()).toBe(true));
  }, 60_000);

  it('is set back behind the beginning of the services’ own certificates: all goes on once it is back — covers: T15, T62', async () => {
    setClock('-2h');
    const answer = await acme.client.newOrder(['behind.localhost']).catch(String);
    // In one process nobody has to prove to another who it is.
    if (typeof answer === 'string') expect(answer).toContain('503');
    await eventually(async () => expect(await healthy()).toBe(false));
    setClock('+0');
    const back = systemClock.now();
    await eventually(async () => expect(await healthy()).toBe(true), RECOVERY);
    await acme.client.certificate(['behind.localhost']);
    expect(systemClock.now() - back).toBeLessThan(RECOVERY);
  }, 60_000);
});
