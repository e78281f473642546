import { systemClock } from '@gigvault/time/clock';
import { assembleSigned, readCertificate } from '@gigvault/x509/certificate';
import { compileTemplate } from '@gigvault/x509/certificate-template';
import { buildTbsCertList } from '@gigvault/x509/crl';
import { assembleOcspResponse, buildResponseData, certIdHashes } from '@gigvault/x509/ocsp';
import { encodeCertId } from '@gigvault/x509/ocsp-client';
import type { CertificateProfile } from '@gigvault/x509/profile';
import { publicKeyInfoOf } from '@gigvault/x509/public-key';
import { newSerialNumber } from '@gigvault/x509/serial-number';
import { signatureAlgorithm, signTbs } from '@gigvault/x509/signature';
import { describe, expect, it } from '@jest/globals';
import { type SelfSignedCa, selfSignedCa } from './self-signed-ca.ts';
import { type Artifact, strictReaders } from './strict-readers.ts';

const DAY = 86_400_000;
const NOW = systemClock.now();
const P256 = signatureAlgorithm('ec-p256');
const PROFILE: CertificateProfile = {
  name: 'tls-server',
  keyTypes: ['ec-p256'],
  keyUsage: ['digitalSignature'],
  extendedKeyUsage: ['serverAuth'],
  defaultValidity: DAY,
  maxValidity: DAY,
  backdate: 0,
  subject: 'empty',
  nameTypes: ['dns'],
  wildcard: false,
  policyIdentifiers: [],
  crlDistributionPoint: true,
  authorityInfoAccess: ['ocsp', 'caIssuers'],
  ocspNoCheck: false,
};
const ca = selfSignedCa('Strict CA', NOW);
const stranger = selfSignedCa('Strict CA', NOW);
const authority: Artifact = { kind: 'authority', der: ca.certificate };

function signed(tbs: Buffer, by: SelfSignedCa): Buffer {
  return assembleSigned(tbs, P256, signTbs(by.privateKey, tbs));
}

function leaf(name: string, by = ca): Artifact {
  const template = compileTemplate(PROFILE, {
    certificate: ca.certificate,
    keyType: 'ec-p256',
    ocspUrl: 'http://status.example/ocsp',
    issuerUrl: 'http://status.example/ca.crt',
    crlBaseUrl: 'http://status.example/crl',
  });
  const tbs = template.build({
    serialNumber: newSerialNumber(),
    notBefore: NOW,
    notAfter: NOW + DAY,
    subject: [],
    subjectAltName: [{ type: 'dns', value: name }],
    publicKey: publicKeyInfoOf(stranger.privateKey),
    crlShard: 0,
  });
  return { kind: 'certificate', der: signed(tbs, by) };
}

function crl(by = ca): Artifact {
  const { subject, keyIdentifier } = readCertificate(ca.certificate);
  const tbs = buildTbsCertList({
    issuerName: subject,
    issuerKeyIdentifier: keyIdentifier!,
    signingKeyType: 'ec-p256',
    crlNumber: 1n,
    thisUpdate: NOW,
    nextUpdate: NOW + DAY,
    entries: Buffer.alloc(0),
    distributionPointUrl: 'http://status.example/crl/0.crl',
  });
  return { kind: 'crl', der: signed(tbs, by) };
}

function ocsp(thisUpdate = NOW, nextUpdate = NOW + DAY): Artifact {
  const { sha1 } = certIdHashes(ca.certificate);
  const certId = encodeCertId('sha1', sha1, newSerialNumber());
  const data = buildResponseData({
    responderKeyHash: publicKeyInfoOf(ca.privateKey).keyIdentifier,
    producedAt: NOW,
    responses: [{ certId, status: 'good', thisUpdate, nextUpdate }],
  });
  const signature = signTbs(ca.privateKey, data);
  return { kind: 'ocsp', der: assembleOcspResponse(data, P256, signature, []) };
}

describe('strictReaders', () => {
  it('are content with what is right', async () => {
    expect(await strictReaders([authority, leaf('good.example.com'), crl(), ocsp()])).toEqual([]);
  });

  it.each([
    ['zlint', leaf('.example.com'), /zlint error e_dnsname_empty_label/],
    ['openssl', leaf('good.example.com', stranger), /the certificate of its CA is not there/],
    ['openssl', crl(stranger), /the certificate of its CA is not there/],
    ['zlint', ocsp(NOW + 3_600_000), /zlint error e_this_update_not_after_produced_at/],
    ['RFC 6960', ocsp(NOW, NOW - 3_600_000), /times are out of order/],
  ])('tell what is wrong: %s', async (_who, artifact, complaint) => {
    const said = await strictReaders([authority, artifact]);
    expect(said.join('\n')).toMatch(complaint);
  });
});
