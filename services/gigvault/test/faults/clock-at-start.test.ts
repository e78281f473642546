import { X509Certificate } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '@gigvault/testkit/eventually';
import { systemClock } from '@gigvault/time/clock';
import { buildOcspRequest, readOcspResponse } from '@gigvault/x509/ocsp-client';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { QUICK_CRL, START_TIMEOUT, startAcmeClient, usePki } from '../use-pki.ts';
import { modesFor, RECOVERY } from './limits.ts';
import { useSetClock } from './set-clock.ts';

const setClock = useSetClock();

// Services must prove to each other who they are.
describe.each(modesFor('split'))('a start with the clock 100 days ahead, %s', (mode) => {
  beforeAll(() => setClock('+0'));
  const shared = usePki(mode, ...QUICK_CRL);

  it(
    'does no harm to the next one with the right clock — covers: T15, T62',
    async () => {
      const before = await issued('before.localhost');
      await shared.pki.stop();
      setClock('+100d');
      await shared.pki.start();
      // All were due by that clock, and are from the future now.
      expect(presented().filter(isFromTheFuture)).toEqual(presented());
      await eventually(async () =>
        expect(isFromTheFuture((await askOcsp(before)).responder)).toBe(true),
      );
      await shared.pki.stop();

      setClock('+0');
      await shared.pki.start();
      expect(presented().filter(isFromTheFuture)).toEqual([]);
      const after = await issued('after.localhost');
      for (const certificate of [before, after])
        await eventually(async () => {
          const { status, responder } = await askOcsp(certificate);
          expect([status, isFromTheFuture(responder)]).toEqual(['good', false]);
        }, RECOVERY);
    },
    3 * START_TIMEOUT,
  );

  async function issued(name: string): Promise<X509Certificate> {
    const { client, responder } = await startAcmeClient(shared);
    try {
      return new X509Certificate(await client.certificate([name]));
    } finally {
      await responder.stop();
    }
  }

  /** The certificates of services and of the public listener. */
  function presented(): X509Certificate[] {
    return globSync(join(shared.pki.dataDir, 'tls', '*.crt'))
      .filter((path) => !path.endsWith('services-ca.crt'))
      .map((path) => new X509Certificate(readFileSync(path)));
  }

  async function askOcsp({ serialNumber }: X509Certificate) {
    const issuer = new X509Certificate(
      readFileSync(join(shared.pki.dataDir, 'root', 'issuing.crt')),
    );
    const { status, body } = await shared.http.fetch(`${shared.pki.statusUrl}/ocsp`, {
      method: 'POST',
      headers: { 'content-type': 'application/ocsp-request' },
      body: buildOcspRequest(issuer.raw, serialNumber.toLowerCase()),
    });
    expect(status).toBe(200);
    const { data, certificates } = readOcspResponse(body);
    return {
      status: data.responses[0]?.status,
      responder: new X509Certificate(certificates[0] as Buffer),
    };
  }
});

function isFromTheFuture({ validFrom }: X509Certificate): boolean {
  return Date.parse(validFrom) > systemClock.now();
}
