import { randomUUID, X509Certificate } from 'node:crypto';
import type { IssueInternalCertificateRequest } from '@gigvault/proto/ca/v1/issuance';
import type { PeerName } from '@gigvault/rpc/service-name';
import { publicKeyInfoOf } from '@gigvault/x509/public-key';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { issueCertificate } from '../src/issuance/issue-certificate.ts';
import { issueInternalCertificate } from '../src/issuance/issue-internal-certificate.ts';
import {
  type CaProcess,
  check,
  csr,
  newKey,
  request,
  startTestCa,
  type TestCa,
} from './test-ca.ts';

let ca: TestCa;
let process: CaProcess;

beforeAll(async () => {
  ca = await startTestCa();
  process = ca.process();
});
afterEach(() => check(ca));
afterAll(() => ca.stop());

const issue = (
  profile: string,
  peer: PeerName,
  changes: Partial<IssueInternalCertificateRequest> = {},
  from = process,
) =>
  issueInternalCertificate(
    from.deps.issuance,
    {
      requestId: randomUUID(),
      profile,
      issuerId: '',
      certificationRequest: csr(['lies.example.com']),
      ...changes,
    },
    peer,
  );

describe('internal certificates', () => {
  it('name the calling service, whatever the request says (covers: T61)', async () => {
    const issued = await issue('service', 'ocsp', { issuerId: 'issuing' });
    const leaf = new X509Certificate(issued.certificate);
    expect(issued.issuerId).toBe('services');
    expect(leaf.subjectAltName).toBe('URI:spiffe://gigvault.local/service/ocsp');
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect(leaf.verify(new X509Certificate(issued.chain[0]!).publicKey)).toBe(true);
  });

  it('name the public listener as it is configured, for edge and gigvault only', async () => {
    const issued = await issue('edge', 'edge');
    expect(new X509Certificate(issued.certificate).subjectAltName).toBe(
      'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
    );
    expect(issued.issuerId).toBe('issuing');
    await expect(issue('edge', 'enroll')).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });

  it('cannot take the request id of an enrolment, nor be taken by one', async () => {
    const requestId = randomUUID();
    const internal = await issue('service', 'notify', { requestId });
    const order = request(process, { requestId });
    const enrolled = await issueCertificate(process.deps.issuance, order);
    expect(enrolled.serialNumber).not.toBe(internal.serialNumber);
    await expect(
      issueCertificate(process.deps.issuance, { ...order, requester: 'acme:somebody-else' }),
    ).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  });

  it('give ocsp a responder of the issuer it asks for, and nobody else', async () => {
    const certificationRequest = publicKeyInfoOf(ca.issuerKeys['ocsp-issuing']).spki;
    const issued = await issue('ocsp-signer', 'ocsp', {
      issuerId: 'issuing',
      certificationRequest,
    });
    const leaf = new X509Certificate(issued.certificate);
    expect(leaf.subject).toBe('CN=OCSP Test issuing CA');
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.9']);
    await expect(issue('ocsp-signer', 'crl', { issuerId: 'issuing' })).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
  });

  it('give a responder whose key has leaked another for its next key', async () => {
    const certificationRequest = publicKeyInfoOf(ca.issuerKeys['ocsp-issuing-K2']).spki;
    const issued = await issue('ocsp-signer', 'ocsp', {
      issuerId: 'issuing',
      certificationRequest,
    });
    expect(
      new X509Certificate(issued.certificate).publicKey.export({ type: 'spki', format: 'der' }),
    ).toEqual(certificationRequest);
  });

  it('certify for OCSP no key but the one that keymgr holds for it (covers: T30)', async () => {
    const certificationRequest = publicKeyInfoOf(newKey()).spki;
    const foreign = { issuerId: 'issuing', certificationRequest };
    await expect(issue('ocsp-signer', 'ocsp', foreign)).rejects.toMatchObject({ code: 'BAD_CSR' });
  });

  it('are issued while audit lags: without them it could not catch up', async () => {
    const strict = ca.process({ auditLag: { events: 1, age: '1ms' } });
    await issue('service', 'audit', {}, strict);
  });

  it('of other profiles do not exist', async () => {
    await expect(issue('tls-server', 'ca')).rejects.toMatchObject({ code: 'UNKNOWN_PROFILE' });
  });
});
