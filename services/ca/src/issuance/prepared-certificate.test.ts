import { generateKeyPairSync } from 'node:crypto';
import { buildCaTbsCertificate } from '@gigvault/x509/ca-certificate';
import { assembleSigned, readTbsCertificate } from '@gigvault/x509/certificate';
import { publicKeyInfoOf } from '@gigvault/x509/public-key';
import { signatureAlgorithm, signTbs } from '@gigvault/x509/signature';
import { describe, expect, it } from '@jest/globals';
import { toIssuer } from '../issuers/issuer-registry.ts';
import type { CheckedOrder } from './check-order.ts';
import { prepareCertificate } from './prepared-certificate.ts';
import { profileTable } from './profile-table.ts';

const DAY = 86_400_000;
const NOW = Date.parse('2026-11-21T10:00:00Z');
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

function issuer() {
  const name = [{ type: 'CN', value: 'Test CA' }];
  const publicKey = publicKeyInfoOf(key);
  const tbs = buildCaTbsCertificate({
    serialNumber: '4000000000000001',
    issuer: name,
    subject: name,
    publicKey,
    issuerKeyIdentifier: publicKey.keyIdentifier,
    signingKeyType: 'ec-p256',
    notBefore: NOW - DAY,
    notAfter: NOW + 1_000 * DAY,
  });
  return toIssuer({
    issuerId: 'issuing',
    line: 'issuing',
    generation: 1,
    certificate: assembleSigned(tbs, signatureAlgorithm('ec-p256'), signTbs(key, tbs)),
    chain: [],
    keyId: 'ca-issuing',
    crlShards: 3,
    ocspUrl: 'http://status.test/ocsp',
    crlBaseUrl: 'http://status.test/crl/issuing',
    issuerUrl: 'http://status.test/ca/issuing.crt',
    public: true,
    createdAt: 0,
  });
}

const order: CheckedOrder = {
  requestId: '00000000-0000-4000-8000-000000000001',
  issuer: issuer(),
  profile: profileTable({}).get('tls-server')!,
  publicKey: publicKeyInfoOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
  commonName: '',
  subject: [],
  subjectAltName: [{ type: 'dns', value: 'a.example.com' }],
  notBefore: NOW,
  notAfter: NOW + 47 * DAY,
  requester: 'acme:1',
  tenantId: '',
  protocol: 'acme',
};

describe('a prepared certificate', () => {
  it('intends exactly the bytes that it lets be signed', () => {
    const prepared = prepareCertificate(order, NOW);
    const signing = prepared.take();
    expect(signing).toEqual({
      keyId: 'ca-issuing',
      intentId: prepared.intent.intentId,
      tbs: prepared.intent.tbs,
    });
    expect(readTbsCertificate(signing.tbs)).toMatchObject({
      serialNumber: prepared.intent.serialNumber,
      notBefore: order.notBefore,
      notAfter: order.notAfter,
      subjectAltName: order.subjectAltName,
    });
    expect([0, 1, 2]).toContain(prepared.intent.crlShard);
  });

  it('is signed once', () => {
    const prepared = prepareCertificate(order, NOW);
    prepared.take();
    expect(() => prepared.take()).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });

  it('has another serial number and intent each time', () => {
    const [a, b] = [prepareCertificate(order, NOW), prepareCertificate(order, NOW)];
    expect(a.intent.serialNumber).not.toBe(b.intent.serialNumber);
    expect(a.intent.intentId).not.toBe(b.intent.intentId);
  });

  it('does not exist when a lint objects', () => {
    const tooLong = { ...order, notAfter: NOW + 91 * DAY };
    expect(() => prepareCertificate(tooLong, NOW)).toThrow(
      expect.objectContaining({
        code: 'LINT_FAILED',
        problems: [expect.objectContaining({ pointer: '/validity-is-within-profile' })],
      }),
    );
  });
});
