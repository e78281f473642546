import 'reflect-metadata';
import { webcrypto, X509Certificate } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import * as peculiar from '@peculiar/x509';
import fc from 'fast-check';
import {
  ISSUER_NAME,
  leafFields,
  NOW,
  newAuthority,
  newKey,
  OCSP_SIGNER,
  openssl,
  signed,
  TLS_SERVER,
} from '../test/authority.ts';
import { buildCaTbsCertificate } from './ca-certificate.ts';
import { isSignedBy, readCertificate, readTbsCertificate } from './certificate.ts';
import { compileTemplate } from './certificate-template.ts';
import { DerError } from './der.ts';
import { readCrlDistributionPoints, readKeyUsage } from './extension-values.ts';
import type { GeneralName } from './general-name.ts';
import { OID } from './oid.ts';
import { toPem } from './pem.ts';
import { keyUsageFor, profileHash } from './profile.ts';
import { publicKeyInfoOf } from './public-key.ts';
import { newSerialNumber } from './serial-number.ts';

const authority = newAuthority();
const template = compileTemplate(TLS_SERVER, authority.info);
const key = newKey();
const rsaKey = newKey('rsa-2048');
const pem = (der: Buffer) => toPem('CERTIFICATE', der);
const ATTIME = String(NOW / 1000 + 60);

describe('template', () => {
  it('builds what openssl accepts strictly, chain included', () => {
    for (const subject of [[{ type: 'CN', value: 'api.example.com' }], []]) {
      const leaf = signed(template.build(leafFields(key, { subject })), authority.key);
      const verify = [
        'verify',
        '-x509_strict',
        '-purpose',
        'sslserver',
        '-verify_hostname',
        'api.example.com',
        '-attime',
        ATTIME,
        '-CAfile',
        'root.pem',
        '-untrusted',
        'ca.pem',
        'leaf.pem',
      ];
      const files = {
        'root.pem': pem(authority.root.der),
        'ca.pem': pem(authority.info.certificate),
        'leaf.pem': pem(leaf),
      };
      expect(openssl(verify, files)).toContain('leaf.pem: OK');
    }
  });

  it('builds what openssl prints as meant', () => {
    const leaf = signed(
      template.build(leafFields(key, { serialNumber: '41ab', subject: [], crlShard: 7 })),
      authority.key,
    );
    const text = openssl(['x509', '-in', 'leaf.pem', '-noout', '-text'], { 'leaf.pem': pem(leaf) });
    for (const part of [
      /Version: 3/,
      /Serial Number: 16811 \(0x41ab\)/,
      /Key Usage: critical\s+Digital Signature\n/,
      /Extended Key Usage:\s*TLS Web Server Authentication\n/,
      /Basic Constraints: critical\s+CA:FALSE/,
      /OCSP - URI:http:\/\/status\.example\/ocsp/,
      /CA Issuers - URI:http:\/\/status\.example\/ca\/issuing\.crt/,
      /Alternative Name: critical\s+DNS:api\.example\.com, IP Address:192\.0\.2\.1, IP Address:2001:DB8:0:0:0:0:0:1/,
      /URI:http:\/\/status\.example\/crl\/issuing\/7\.crl/,
    ]) {
      expect(text).toMatch(part);
    }
  });

  it('builds what node:crypto reads', () => {
    const fields = leafFields(key);
    const leaf = new X509Certificate(signed(template.build(fields), authority.key));
    const ca = new X509Certificate(authority.info.certificate);
    expect(leaf.verify(ca.publicKey)).toBe(true);
    expect(leaf.checkIssued(ca)).toBe(true);
    expect(leaf.serialNumber.toLowerCase()).toBe(fields.serialNumber);
    expect(leaf.validFromDate?.getTime()).toBe(fields.notBefore);
    expect(leaf.validToDate?.getTime()).toBe(fields.notAfter);
    expect(leaf.subjectAltName).toBe(
      'DNS:api.example.com, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1',
    );
    expect(leaf.ca).toBe(false);
  });

  it('is read back by readCertificate', () => {
    const fields = leafFields(key);
    const tbs = template.build(fields);
    const leaf = readCertificate(signed(tbs, authority.key));
    expect(leaf).toMatchObject({
      serialNumber: fields.serialNumber,
      notBefore: fields.notBefore,
      notAfter: fields.notAfter,
      subjectAltName: fields.subjectAltName,
      isCa: false,
      keyIdentifier: fields.publicKey.keyIdentifier,
      authorityKeyIdentifier: authority.certificate.keyIdentifier,
    });
    expect(leaf.tbs.equals(tbs)).toBe(true);
    expect(leaf.issuer.equals(authority.certificate.subject)).toBe(true);
    expect(leaf.publicKey.spkiSha256).toBe(fields.publicKey.spkiSha256);
    expect(isSignedBy(leaf, authority.certificate)).toBe(true);
    expect(isSignedBy(leaf, authority.root)).toBe(false);
    expect(isSignedBy(authority.certificate, authority.root)).toBe(true);
    expect(isSignedBy(authority.root, authority.root)).toBe(true);
    const tampered = Buffer.from(leaf.der);
    tampered[tampered.length - 1]! ^= 1;
    expect(isSignedBy(readCertificate(tampered), authority.certificate)).toBe(false);
  });

  it('adds keyEncipherment for RSA keys only', () => {
    const usage = (privateKey: typeof key) => {
      const { extensions } = readTbsCertificate(template.build(leafFields(privateKey)));
      return readKeyUsage(extensions.get(OID.keyUsage)!.value);
    };
    expect(usage(rsaKey)).toEqual(['digitalSignature', 'keyEncipherment']);
    expect(usage(key)).toEqual(['digitalSignature']);
    expect(keyUsageFor(TLS_SERVER, 'ec-p256')).toEqual(['digitalSignature']);
  });

  it('names the CRL of the shard', () => {
    const url = (crlShard: number) =>
      readCrlDistributionPoints(
        readTbsCertificate(template.build(leafFields(key, { crlShard }))).extensions.get(
          OID.crlDistributionPoints,
        )!.value,
      );
    expect(url(3)).toEqual(['http://status.example/crl/issuing/3.crl']);
    expect(url(0)).toEqual(['http://status.example/crl/issuing/0.crl']);
    expect(() => url(-1)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('builds OCSP responders with nocheck and without pointers', () => {
    const fields = leafFields(key, {
      subject: [{ type: 'CN', value: 'GigVault OCSP' }],
      subjectAltName: [],
    });
    const { extensions } = readTbsCertificate(
      compileTemplate(OCSP_SIGNER, authority.info).build(fields),
    );
    expect(extensions.get(OID.ocspNoCheck)?.value.toString('hex')).toBe('0500');
    for (const absent of [OID.authorityInfoAccess, OID.crlDistributionPoints, OID.subjectAltName]) {
      expect(extensions.has(absent)).toBe(false);
    }
  });

  it('crosses 2049 (covers: T16)', () => {
    const [notBefore, notAfter] = [Date.UTC(2049, 11, 31, 23, 59, 59), Date.UTC(2050, 0, 1)];
    const tbs = template.build(leafFields(key, { notBefore, notAfter }));
    expect(tbs.includes('\x17\x0d491231235959Z\x18\x0f20500101000000Z')).toBe(true);
    expect(readTbsCertificate(tbs)).toMatchObject({ notBefore, notAfter });
  });

  it('refuses other keys, other issuers, and a certificate of nothing', () => {
    expect(() => template.build(leafFields(newKey('ed25519')))).toThrow(
      expect.objectContaining({ code: 'BAD_PUBLIC_KEY' }),
    );
    expect(() => template.build(leafFields(key, { subject: [], subjectAltName: [] }))).toThrow(
      /subject or a name/,
    );
    const leaf = signed(template.build(leafFields(key)), authority.key);
    expect(() => compileTemplate(TLS_SERVER, { ...authority.info, certificate: leaf })).toThrow(
      /not a CA/,
    );
    expect(() => template.build(leafFields(key, { serialNumber: 'XY' }))).toThrow(DerError);
  });
});

describe('the bytes of @peculiar/x509 are the same', () => {
  const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  peculiar.cryptoProvider.set(webcrypto as never);
  const toWebKey = async (format: 'pkcs8' | 'spki', bytes: Buffer, usage: 'sign' | 'verify') =>
    webcrypto.subtle.importKey(format, new Uint8Array(bytes), P256, true, [usage]);
  const utf8 = (attributes: readonly { type: string; value: string }[]) =>
    new peculiar.Name(attributes.map(({ type, value }) => ({ [type]: [{ utf8String: value }] })));
  const peculiarName = ({
    type,
    value,
  }: GeneralName): { type: 'dns' | 'ip' | 'email' | 'url'; value: string } => ({
    type: type === 'uri' ? 'url' : type,
    value,
  });

  it('for the same fields', async () => {
    const signingKey = await toWebKey(
      'pkcs8',
      authority.key.export({ format: 'der', type: 'pkcs8' }),
      'sign',
    );
    const publicKey = await toWebKey('spki', publicKeyInfoOf(key).spki, 'verify');
    const names = fc.uniqueArray(
      fc.oneof(
        fc.domain().map((value): GeneralName => ({ type: 'dns', value })),
        fc.ipV4().map((value): GeneralName => ({ type: 'ip', value })),
      ),
      { minLength: 1, maxLength: 5, selector: ({ value }) => value },
    );
    const cases = fc.record({
      names,
      withSubject: fc.boolean(),
      start: fc.integer({ min: 0, max: 3_000_000_000 }),
      days: fc.integer({ min: 1, max: 90 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ names: subjectAltName, withSubject, start, days }) => {
        const subject = withSubject
          ? [
              { type: 'CN', value: 'a.example' },
              { type: 'O', value: 'Söhne' },
            ]
          : [];
        const notBefore = start * 1000;
        const fields = leafFields(key, {
          subject,
          subjectAltName,
          notBefore,
          notAfter: notBefore + days * 86_400_000,
        });
        const theirs = await peculiar.X509CertificateGenerator.create({
          serialNumber: fields.serialNumber,
          issuer: utf8(ISSUER_NAME),
          subject: utf8(subject),
          notBefore: new Date(fields.notBefore),
          notAfter: new Date(fields.notAfter),
          signingAlgorithm: P256,
          publicKey: publicKey as never,
          signingKey: signingKey as never,
          extensions: [
            new peculiar.KeyUsagesExtension(peculiar.KeyUsageFlags.digitalSignature, true),
            new peculiar.ExtendedKeyUsageExtension([peculiar.ExtendedKeyUsage.serverAuth]),
            new peculiar.BasicConstraintsExtension(false, undefined, true),
            new peculiar.SubjectKeyIdentifierExtension(
              fields.publicKey.keyIdentifier.toString('hex'),
            ),
            new peculiar.AuthorityKeyIdentifierExtension(
              authority.certificate.keyIdentifier!.toString('hex'),
            ),
            new peculiar.AuthorityInfoAccessExtension({
              ocsp: authority.info.ocspUrl,
              caIssuers: authority.info.issuerUrl,
            }),
            new peculiar.SubjectAlternativeNameExtension(
              subjectAltName.map(peculiarName),
              !withSubject,
            ),
            new peculiar.CRLDistributionPointsExtension([`${authority.info.crlBaseUrl}/0.crl`]),
          ],
        });
        const tbs = readCertificate(Buffer.from(theirs.rawData)).tbs;
        expect(template.build(fields).toString('hex')).toBe(tbs.toString('hex'));
      }),
      { numRuns: 30 },
    );
  });
});

describe('CA certificates', () => {
  it('carry name constraints that openssl enforces', () => {
    const caKey = newKey();
    const constrained = signed(
      buildCaTbsCertificate({
        serialNumber: newSerialNumber(),
        issuer: authority.root.subject,
        subject: [{ type: 'CN', value: 'Services' }],
        publicKey: publicKeyInfoOf(caKey),
        issuerKeyIdentifier: authority.root.keyIdentifier!,
        signingKeyType: 'ec-p384',
        notBefore: NOW - 1000,
        notAfter: NOW + 86_400_000 * 365,
        pathLenConstraint: 0,
        permittedUris: ['gigvault.local'],
        nameConstraints: {
          excluded: [
            { type: 'dns', value: '' },
            { type: 'ip', value: '0.0.0.0/0' },
            { type: 'ip', value: '::/0' },
          ],
        },
      }),
      authority.rootKey,
    );
    const profile = { ...TLS_SERVER, subject: 'empty', nameTypes: ['uri', 'dns'] } as const;
    const services = compileTemplate(profile, { ...authority.info, certificate: constrained });
    const verify = (name: GeneralName) => {
      const leaf = signed(
        services.build(leafFields(key, { subject: [], subjectAltName: [name] })),
        caKey,
      );
      const args = [
        'verify',
        '-x509_strict',
        '-attime',
        ATTIME,
        '-CAfile',
        'root.pem',
        '-untrusted',
        'ca.pem',
        'leaf.pem',
      ];
      return openssl(args, {
        'root.pem': pem(authority.root.der),
        'ca.pem': pem(constrained),
        'leaf.pem': pem(leaf),
      });
    };
    expect(verify({ type: 'uri', value: 'spiffe://gigvault.local/service/ca' })).toContain('OK');
    expect(() => verify({ type: 'uri', value: 'spiffe://evil.local/service/ca' })).toThrow(
      /permitted subtree violation/,
    );
    expect(() => verify({ type: 'dns', value: 'a.example' })).toThrow(/excluded subtree violation/);
  });

  it('say what they are', () => {
    expect(authority.root).toMatchObject({ isCa: true });
    expect(authority.root.pathLenConstraint).toBeUndefined();
    expect(authority.certificate).toMatchObject({ isCa: true, pathLenConstraint: 0 });
    expect(readKeyUsage(authority.root.extensions.get(OID.keyUsage)!.value)).toEqual([
      'keyCertSign',
      'cRLSign',
    ]);
  });

  it('need a subject and sound constraints', () => {
    const fields = {
      serialNumber: '01',
      issuer: [],
      subject: [{ type: 'CN', value: 'x' }],
      publicKey: publicKeyInfoOf(key),
      issuerKeyIdentifier: Buffer.alloc(20),
      signingKeyType: 'ec-p256',
      notBefore: NOW,
      notAfter: NOW + 1000,
    } as const;
    expect(() => buildCaTbsCertificate({ ...fields, subject: [] })).toThrow(/subject/);
    for (const value of ['10.0.0.0', '10.0.0.0/33', 'x/8']) {
      expect(() =>
        buildCaTbsCertificate({
          ...fields,
          nameConstraints: { permitted: [{ type: 'ip', value }] },
        }),
      ).toThrow();
    }
  });
});

describe('profileHash', () => {
  it('does not depend on the order of keys, and on everything else (covers: T14)', () => {
    const reordered = Object.fromEntries(
      Object.entries(TLS_SERVER).reverse(),
    ) as unknown as typeof TLS_SERVER;
    expect(profileHash(reordered)).toBe(profileHash(TLS_SERVER));
    expect(profileHash(TLS_SERVER)).toMatch(/^[0-9a-f]{64}$/);
    expect(profileHash({ ...TLS_SERVER, backdate: 1 })).not.toBe(profileHash(TLS_SERVER));
    expect(profileHash({ ...TLS_SERVER, nameTypes: ['ip', 'dns'] })).not.toBe(
      profileHash(TLS_SERVER),
    );
  });
});
