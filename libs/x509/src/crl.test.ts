import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  leafFields,
  NOW,
  newAuthority,
  newKey,
  openssl,
  signed,
  TLS_SERVER,
} from '../test/authority.ts';
import { assembleSigned } from './certificate.ts';
import { compileTemplate } from './certificate-template.ts';
import {
  buildTbsCertList,
  type CertListFields,
  type CrlEntry,
  encodeCrlEntry,
  readCertList,
  readTbsCertList,
} from './crl.ts';
import { DerError } from './der.ts';
import { toPem } from './pem.ts';
import { signatureAlgorithm, verifySignature } from './signature.ts';

const authority = newAuthority();
const HOUR = 3_600_000;
const ENTRIES: CrlEntry[] = [
  { serialNumber: '01', revokedAt: NOW - HOUR, reasonCode: 0 },
  { serialNumber: 'aabbcc', revokedAt: NOW - 1000, reasonCode: 1 },
  { serialNumber: '7f', revokedAt: Date.UTC(2050, 1, 1), reasonCode: 4 },
];

function fields(
  entries: readonly CrlEntry[],
  change: Partial<CertListFields> = {},
): CertListFields {
  return {
    issuerName: authority.certificate.subject,
    issuerKeyIdentifier: authority.certificate.keyIdentifier!,
    signingKeyType: 'ec-p256',
    crlNumber: 258n,
    thisUpdate: NOW,
    nextUpdate: NOW + 24 * HOUR,
    entries: Buffer.concat(entries.map(encodeCrlEntry)),
    distributionPointUrl: 'http://status.example/crl/issuing/0.crl',
    ...change,
  };
}

describe('CRL', () => {
  it('is what openssl reads, and verifies', () => {
    const crl = signed(buildTbsCertList(fields(ENTRIES)), authority.key);
    const files = { 'crl.der': crl, 'ca.pem': toPem('CERTIFICATE', authority.info.certificate) };
    const text = openssl(
      ['crl', '-inform', 'DER', '-in', 'crl.der', '-noout', '-text', '-CAfile', 'ca.pem'],
      files,
    );
    for (const part of [
      /verify OK/,
      /Version 2/,
      /X509v3 CRL Number:\s+258/,
      /Issuing Distribution Point: critical\s+Full Name:\s+URI:http:\/\/status\.example\/crl\/issuing\/0\.crl\s+Only User Certificates/,
      /Serial Number: AABBCC\s+Revocation Date: Nov 21 11:59:59 2026 GMT\s+CRL entry extensions:\s+X509v3 CRL Reason Code:\s+Key Compromise/,
      /Serial Number: 01\s+Revocation Date: Nov 21 11:00:00 2026 GMT\s+Serial Number: AABBCC/,
    ]) {
      expect(text).toMatch(part);
    }
  });

  it('makes openssl verify refuse a revoked certificate and accept another', () => {
    const template = compileTemplate(TLS_SERVER, authority.info);
    const verify = (serialNumber: string) => {
      const leaf = signed(template.build(leafFields(newKey(), { serialNumber })), authority.key);
      const files = {
        'roots.pem':
          toPem('CERTIFICATE', authority.root.der) +
          toPem('CERTIFICATE', authority.info.certificate),
        'crl.pem': toPem('X509 CRL', signed(buildTbsCertList(fields(ENTRIES)), authority.key)),
        'leaf.pem': toPem('CERTIFICATE', leaf),
      };
      const args = [
        'verify',
        '-x509_strict',
        '-crl_check',
        '-attime',
        String(NOW / 1000 + 60),
        '-CAfile',
        'roots.pem',
        '-CRLfile',
        'crl.pem',
        'leaf.pem',
      ];
      return openssl(args, files);
    };
    expect(verify('aabbcd')).toContain('OK');
    expect(() => verify('aabbcc')).toThrow(/certificate revoked/);
  });

  it('of a root speaks of CA certificates', () => {
    const rootCrl = (scope: 'caCerts' | 'userCerts') =>
      signed(
        buildTbsCertList(
          fields([], {
            issuerName: authority.root.subject,
            issuerKeyIdentifier: authority.root.keyIdentifier!,
            signingKeyType: 'ec-p384',
            scope,
            distributionPointUrl: 'http://status.example/crl/root/0.crl',
          }),
        ),
        authority.rootKey,
      );
    const verify = (scope: 'caCerts' | 'userCerts') => {
      const files = {
        'root.pem': toPem('CERTIFICATE', authority.root.der),
        'crl.pem': toPem('X509 CRL', rootCrl(scope)),
        'ca.pem': toPem('CERTIFICATE', authority.info.certificate),
      };
      return openssl(
        [
          'verify',
          '-crl_check',
          '-attime',
          String(NOW / 1000 + 60),
          '-CAfile',
          'root.pem',
          '-CRLfile',
          'crl.pem',
          'ca.pem',
        ],
        files,
      );
    };
    expect(verify('caCerts')).toContain('OK');
    expect(() => verify('userCerts')).toThrow(/scope/);
  });

  it('is read back', () => {
    const list = readCertList(signed(buildTbsCertList(fields(ENTRIES)), authority.key));
    expect([...list.entries()]).toEqual(ENTRIES);
    expect([...list.entries()]).toEqual(ENTRIES);
    expect(list).toMatchObject({
      crlNumber: 258n,
      thisUpdate: NOW,
      nextUpdate: NOW + 24 * HOUR,
      distributionPointUrl: 'http://status.example/crl/issuing/0.crl',
      scope: 'userCerts',
      issuerKeyIdentifier: authority.certificate.keyIdentifier,
    });
    expect(list.issuer.equals(authority.certificate.subject)).toBe(true);
    const { keyObject } = authority.certificate.publicKey;
    expect(verifySignature(keyObject, list.signatureAlgorithm, list.tbs, list.signature)).toBe(
      true,
    );
  });

  it('leaves revokedCertificates out when nothing is revoked', () => {
    const tbs = buildTbsCertList(fields([]));
    expect([...readTbsCertList(tbs).entries()]).toEqual([]);
    const crl = signed(tbs, authority.key);
    expect(openssl(['crl', '-inform', 'DER', '-in', 'c', '-noout', '-text'], { c: crl })).toContain(
      'No Revoked Certificates',
    );
  });

  it('of 20,000 entries is built and read without copies of them', () => {
    const entries = Array.from({ length: 20_000 }, (_, n) => ({
      serialNumber: `40${n.toString(16).padStart(38, '0')}`,
      revokedAt: NOW,
      reasonCode: 1,
    }));
    let count = 0;
    for (const entry of readTbsCertList(buildTbsCertList(fields(entries))).entries()) {
      expect(entry).toEqual(entries[count++]);
    }
    expect(count).toBe(20_000);
  });

  it('refuses what cannot be said', () => {
    expect(() => encodeCrlEntry({ serialNumber: '01', revokedAt: NOW, reasonCode: 7 })).toThrow(
      DerError,
    );
    expect(() => buildTbsCertList(fields([], { crlNumber: -1n }))).toThrow(DerError);
    expect(() => buildTbsCertList(fields([], { nextUpdate: NOW }))).toThrow(DerError);
  });

  it('refuses two different algorithm fields', () => {
    const tbs = buildTbsCertList(fields([]));
    expect(() =>
      readCertList(assembleSigned(tbs, signatureAlgorithm('ed25519'), Buffer.alloc(64))),
    ).toThrow(DerError);
  });

  it('throws DerError and nothing else for changed bytes', () => {
    const valid = signed(buildTbsCertList(fields(ENTRIES)), authority.key);
    fc.assert(
      fc.property(
        fc.nat({ max: valid.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (at, change) => {
          const bytes = Buffer.from(valid);
          bytes[at]! ^= change;
          try {
            Array.from(readCertList(bytes).entries());
          } catch (error) {
            expect(error).toBeInstanceOf(DerError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
