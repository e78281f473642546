import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import type { AcmeOrder } from '@gigvault/testkit/acme-client';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { QUICK_CRL, startAcmeClient, usePki } from './use-pki.ts';

const ERROR = 'urn:ietf:params:acme:error:';

// Between services an error is the same in one process, where tests have messages encoded as on the wire.
describe('what a client is refused, and may mend', () => {
  const shared = usePki('one process', ...QUICK_CRL);
  let acme: Awaited<ReturnType<typeof startAcmeClient>>;

  beforeAll(async () => {
    acme = await startAcmeClient(shared);
  });

  afterAll(() => acme?.responder.stop());

  it('a finalize with a key of a kind that is not taken — covers: T28', async () => {
    const name = 'kind.localhost';
    const order = await readyOrder(name);
    const problem = await refused(order, newKey('P-521'), name);
    expect(problem).toEqual({
      type: `${ERROR}badPublicKey`,
      detail: expect.stringMatching(/p521/),
    });
    await issuesAfterAll(order, name);
  });

  it('a finalize with a key that was reported compromised — covers: T29', async () => {
    const name = 'compromised.localhost';
    const key = newKey('P-256');
    const first = await readyOrder(name);
    const { raw } = await issued(first, key, name);
    expect((await acme.client.revoke(raw, 1)).status).toBe(200);
    const order = await readyOrder(name);
    const problem = await refused(order, key, name);
    expect(problem).toEqual({
      type: `${ERROR}badPublicKey`,
      detail: expect.stringMatching(/compromised/),
    });
    await issuesAfterAll(order, name);
  });

  it('a challenge whose server cannot be reached', async () => {
    const order = await acme.client.newOrder(['nobody.localhost']);
    await acme.responder.stop();
    const invalid = await acme.client.prove(order);
    const detail = expect.stringMatching(/Cannot connect to (127\.0\.0\.1|::1): ECONNREFUSED/);
    expect(invalid).toMatchObject({ status: 'invalid', error: { detail } });
    const authorization = await acme.client.post(order.authorizations[0] as string, '');
    expect(authorization.json()).toMatchObject({
      status: 'invalid',
      challenges: [{ status: 'invalid', error: { type: `${ERROR}connection`, detail } }],
    });
  });

  async function readyOrder(name: string): Promise<AcmeOrder> {
    const order = await acme.client.prove(await acme.client.newOrder([name]));
    expect(order.status).toBe('ready');
    return order;
  }

  /** The problem with which a finalize is refused, with 400, and the order left ready (RFC 8555 §7.4). */
  async function refused(
    order: AcmeOrder,
    key: KeyObject,
    name: string,
  ): Promise<{ type: string; detail: string }> {
    const answer = await acme.client.post(order.finalize, { csr: requestFor(key, name) });
    expect([answer.status, answer.headers['content-type']]).toEqual([
      400,
      expect.stringMatching(/^application\/problem\+json/),
    ]);
    expect((await acme.client.settled(order)).status).toBe('ready');
    const { type, detail } = answer.json<{ type: string; detail: string }>();
    return { type, detail };
  }

  async function issued(order: AcmeOrder, key: KeyObject, name: string): Promise<X509Certificate> {
    await acme.client.post(order.finalize, { csr: requestFor(key, name) });
    const { status, certificate } = await acme.client.settled(order);
    expect(status).toBe('valid');
    return new X509Certificate((await acme.client.post(certificate as string, '')).text);
  }

  async function issuesAfterAll(order: AcmeOrder, name: string): Promise<void> {
    const key = newKey('P-256');
    const certificate = await issued(order, key, name);
    expect(certificate.checkPrivateKey(key)).toBe(true);
    expect(certificate.subjectAltName).toBe(`DNS:${name}`);
  }
});

function newKey(namedCurve: 'P-256' | 'P-521'): KeyObject {
  return generateKeyPairSync('ec', { namedCurve }).privateKey;
}

function requestFor(privateKey: KeyObject, name: string): string {
  const subjectAltName = [{ type: 'dns' as const, value: name }];
  const der = buildCertificationRequest({ privateKey, subject: [], subjectAltName });
  return der.toString('base64url');
}
