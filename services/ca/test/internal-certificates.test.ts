import { randomUUID, X509Certificate } from 'node:crypto';
import type { IssueInternalCertificateRequest } from '@gigvault/proto/ca/v1/issuance';
import type { PeerName } from '@gigvault/rpc/service-name';
import { publicKeyInfoOf } from '@gigvault/x509/public-key';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { issueInternalCertificate } from '../src/issuance/issue-internal-certificate.ts';
import { type CaProcess, check, csr, newKey, startTestCa, type TestCa } from './test-ca.ts';

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
      subjectAltName: [],
      ...changes,
    },
    peer,
  );

describe('internal certificates', () => {
  it('name the calling service, whatever the request says (covers: T61)', async () => {
    const forged = [{ type: 'uri', value: 'spiffe://gigvault.local/service/ca' }];
    const issued = await issue('service', 'ocsp', { issuerId: 'issuing', subjectAltName: forged });
    const leaf = new X509Certificate(issued.certificate);
    expect(issued.issuerId).toBe('services');
    expect(leaf.subjectAltName).toBe('URI:spiffe://gigvault.local/service/ocsp');
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect(leaf.verify(new X509Certificate(issued.chain[0]!).publicKey)).toBe(true);
  });

  it('give the listener its names, to edge and gigvault only', async () => {
    const subjectAltName = [
      { type: 'dns', value: 'localhost' },
      { type: 'ip', value: '127.0.0.1' },
    ];
    const issued = await issue('edge', 'gigvault', { subjectAltName });
    expect(new X509Certificate(issued.certificate).subjectAltName).toBe(
      'DNS:localhost, IP Address:127.0.0.1',
    );
    expect(issued.issuerId).toBe('issuing');
    await expect(issue('edge', 'enroll', { subjectAltName })).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
    await expect(issue('edge', 'edge')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
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

  it('certify for OCSP no key but the one that keymgr holds for it (covers: T30)', async () => {
    const certificationRequest = publicKeyInfoOf(newKey()).spki;
    const foreign = { issuerId: 'issuing', certificationRequest };
    await expect(issue('ocsp-signer', 'ocsp', foreign)).rejects.toMatchObject({ code: 'BAD_CSR' });
  });

  it('are issued while audit lags: without them it could not catch up', async () => {
    const strict = ca.process({ auditLag: { events: 1, age: 1 } });
    await issue('service', 'audit', {}, strict);
  });

  it('of other profiles do not exist', async () => {
    await expect(issue('tls-server', 'ca')).rejects.toMatchObject({ code: 'UNKNOWN_PROFILE' });
  });
});
