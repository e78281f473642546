import { readFileSync } from 'node:fs';
import { connect } from '@gigvault/testkit/check-pki';
import { cloneCertificates } from '@gigvault/testkit/clone-certificates';
import { eventually } from '@gigvault/testkit/eventually';
import { httpClient } from '@gigvault/testkit/http-client';
import { type PkiProcess, startPki } from '@gigvault/testkit/pki-process';
import { readCertificate } from '@gigvault/x509/certificate';
import { readCertList } from '@gigvault/x509/crl';
import { buildOcspRequest, readOcspResponse } from '@gigvault/x509/ocsp-client';
import { fromPem } from '@gigvault/x509/pem';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { START_TIMEOUT, startAcmeClient } from './use-pki.ts';
import { useWebhookAway } from './use-webhook-away.ts';

/** `npm run bench -- revocation` does it with 100,000. */
const CERTIFICATES = 5_000;
/** Milliseconds, as promised for 100,000. */
const WITHIN = 60_000;

/** Nobody hears of thousands of revocations: those who do the work must not wait for that. */
const webhookAway = useWebhookAway();

/** Not with `usePki`: certificates that were copied in the database are not what `checkPki` wants to see. */
// In split mode the events have the longer way, from process to process.
describe('a compromised key with thousands of certificates', () => {
  const http = httpClient();
  let pki: PkiProcess;

  beforeAll(async () => {
    pki = await startPki('split', ...webhookAway);
  }, START_TIMEOUT);

  afterAll(async () => {
    http.close();
    await pki?.dispose();
  }, START_TIMEOUT);

  async function status(issuer: Buffer, serialNumber: string): Promise<unknown> {
    const { body } = await http.fetch(`${pki.statusUrl}/ocsp`, {
      method: 'POST',
      headers: { 'content-type': 'application/ocsp-request' },
      body: buildOcspRequest(issuer, serialNumber),
    });
    return readOcspResponse(body).data.responses[0]?.status;
  }

  it('all are revoked in OCSP and on the CRL within a minute, and issuance goes on meanwhile — covers: T29, T60', async () => {
    const shared = { pki, http: httpClient(readFileSync(pki.rootFile)) };
    const acme = await startAcmeClient(shared);
    try {
      const [leaf, issuer] = fromPem(
        await acme.client.certificate(['mass.localhost']),
        'CERTIFICATE',
      );
      const { serialNumber } = readCertificate(leaf!);
      const some = await cloneCertificates(pki, serialNumber, CERTIFICATES);
      expect(await status(issuer!, some[0]!)).toBe('good');
      expect((await acme.client.revoke(leaf!, 1)).status).toBe(200);
      const revoked = performance.now();
      // While they are being revoked, somebody else gets a certificate, and it is good.
      const [other] = fromPem(await acme.client.certificate(['other.localhost']), 'CERTIFICATE');
      await eventually(async () => {
        for (const one of [serialNumber, ...some])
          expect([one, await status(issuer!, one)]).toEqual([
            one,
            expect.objectContaining({ reasonCode: 1 }),
          ]);
      }, WITHIN);
      await eventually(async () => {
        const { body } = await http.fetch(`${pki.statusUrl}/crl/issuing/0.crl`);
        const listed = [...readCertList(body).entries()].filter((entry) => entry.reasonCode === 1);
        expect(listed).toHaveLength(CERTIFICATES + 1);
      }, WITHIN);
      expect(performance.now() - revoked).toBeLessThan(WITHIN);
      expect(await status(issuer!, readCertificate(other!).serialNumber)).toBe('good');
      await eventually(async () => expect(await waitingFor(pki)).toBeGreaterThan(CERTIFICATES));
    } finally {
      await acme.responder.stop();
      shared.http.close();
    }
  }, 150_000);
});

/** Notifications that wait for the webhook. */
async function waitingFor(pki: PkiProcess): Promise<number> {
  const database = await connect(pki);
  try {
    const { rows } = await database.query<{ n: number }>(
      'SELECT count(*)::int AS n FROM notify.delivery',
    );
    return rows[0]?.n ?? 0;
  } finally {
    await database.end();
  }
}
