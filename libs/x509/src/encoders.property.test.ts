import 'reflect-metadata';
import { KeyObject, webcrypto } from 'node:crypto';
import { produced } from '@gigvault/testkit/produced';
import { describe, expect, it } from '@jest/globals';
import * as peculiar from '@peculiar/x509';
import fc from 'fast-check';
import { attributes, generalName, second, serialNumber, url } from '../test/arbitraries.ts';
import {
  leafFields,
  newAuthority,
  newKey,
  OCSP_SIGNER,
  signed,
  TLS_SERVER,
} from '../test/authority.ts';
import { buildCaTbsCertificate } from './ca-certificate.ts';
import { assembleSigned, readCertificate, readSigned } from './certificate.ts';
import { compileTemplate } from './certificate-template.ts';
import {
  buildCertificationRequest,
  buildRequestInfo,
  parseCertificationRequest,
  parseCertificationRequestOffLoop,
} from './certification-request.ts';
import { buildTbsCertList, type CrlEntry, encodeCrlEntry, readCertList } from './crl.ts';
import { contextConstructed, DerReader } from './der.ts';
import { encodeExtension, readExtensionList } from './extension.ts';
import * as values from './extension-values.ts';
import {
  distinctNames,
  encodeGeneralName,
  encodeGeneralNames,
  formatGeneralName,
  type GeneralName,
  normalizeGeneralName,
  parseGeneralName,
  readGeneralNames,
} from './general-name.ts';
import { ipAddressToOctets, octetsToIpAddress } from './ip-address.ts';
import { encodeName, formatName, readName } from './name.ts';
import {
  assembleOcspResponse,
  buildResponseData,
  certIdHashes,
  encodeNonce,
  OCSP_ERROR_STATUS,
  ocspErrorResponse,
  readOcspRequest,
} from './ocsp.ts';
import {
  buildOcspRequest,
  encodeCertId,
  encodeOcspRequest,
  readOcspResponse,
} from './ocsp-client.ts';
import { EXTENDED_KEY_USAGE } from './oid.ts';
import { fromPem, toPem } from './pem.ts';
import { publicKeyInfoOf } from './public-key.ts';
import { REASON_CODE } from './reason-code.ts';
import {
  formatSerialNumber,
  newSerialNumber,
  parseSerialNumber,
  serialNumberFromOctets,
  serialNumberToInteger,
} from './serial-number.ts';
import { signatureAlgorithm, signTbs } from './signature.ts';

const authority = newAuthority();
const key = newKey();
const publicKey = publicKeyInfoOf(key);
const SECOND = 1000;
const octets = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => Buffer.from(bytes));
const reasonCode = fc.constantFrom(...Object.values(REASON_CODE));
const hex = (bytes: ArrayBuffer | Uint8Array) => Buffer.from(bytes as Uint8Array).toString('hex');

const ECDSA = { name: 'ECDSA', hash: 'SHA-256' };
const pair = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
  'sign',
  'verify',
]);

peculiar.cryptoProvider.set(webcrypto as never);

describe('extension values', () => {
  type Value = readonly [encode: Buffer, theirs: { value: ArrayBuffer }];
  const usage = fc.subarray(Object.keys(EXTENDED_KEY_USAGE), { minLength: 1 });
  const keyUsages = fc.subarray(
    ['digitalSignature', 'keyEncipherment', 'keyAgreement', 'keyCertSign', 'cRLSign'] as const,
    { minLength: 1 },
  );
  const uris = fc.array(url, { minLength: 1, maxLength: 3 });
  const rows: Readonly<Record<string, fc.Arbitrary<Value>>> = {
    keyUsage: keyUsages.map((bits) => [
      values.encodeKeyUsage(bits),
      new peculiar.KeyUsagesExtension(
        bits.reduce((flags, bit) => flags | peculiar.KeyUsageFlags[bit], 0),
      ),
    ]),
    extKeyUsage: usage.map((names) => [
      values.encodeExtendedKeyUsage(names),
      new peculiar.ExtendedKeyUsageExtension(
        names.map((name) => EXTENDED_KEY_USAGE[name as keyof typeof EXTENDED_KEY_USAGE]),
      ),
    ]),
    basicConstraints: fc
      .option(fc.nat(200), { nil: undefined })
      .map((length) => [
        values.encodeBasicConstraints(true, length),
        new peculiar.BasicConstraintsExtension(true, length),
      ]),
    subjectKeyIdentifier: octets(20).map((id) => [
      values.encodeSubjectKeyIdentifier(id),
      new peculiar.SubjectKeyIdentifierExtension(hex(id)),
    ]),
    authorityKeyIdentifier: octets(20).map((id) => [
      values.encodeAuthorityKeyIdentifier(id),
      new peculiar.AuthorityKeyIdentifierExtension(hex(id)),
    ]),
    cRLDistributionPoints: url.map((uri) => [
      values.encodeCrlDistributionPoint(uri),
      new peculiar.CRLDistributionPointsExtension([uri]),
    ]),
    authorityInfoAccess: fc
      .tuple(uris, uris)
      .map(([ocsp, caIssuers]) => [
        values.encodeAuthorityInfoAccess({ ocsp, caIssuers }),
        new peculiar.AuthorityInfoAccessExtension({ ocsp, caIssuers }),
      ]),
    certificatePolicies: fc
      .array(fc.nat(9999), { minLength: 1, maxLength: 4 })
      .map((arcs) => [
        values.encodeCertificatePolicies(arcs.map((arc) => `2.23.140.${arc}`)),
        new peculiar.CertificatePolicyExtension(arcs.map((arc) => `2.23.140.${arc}`)),
      ]),
    subjectAltName: fc
      .array(generalName, { minLength: 1, maxLength: 8 })
      .map((names) => [
        encodeGeneralNames(names),
        new peculiar.SubjectAlternativeNameExtension(names.map(peculiarName)),
      ]),
  };

  it.each(Object.entries(rows))('%s is byte for byte as of @peculiar/x509', (_name, arbitrary) => {
    fc.assert(
      fc.property(arbitrary, ([ours, theirs]) => expect(hex(ours)).toBe(hex(theirs.value))),
    );
  });

  it('are read back', () => {
    fc.assert(
      fc.property(keyUsages, usage, uris, octets(20), (bits, names, ocsp, id) => {
        expect(new Set(values.readKeyUsage(values.encodeKeyUsage(bits)))).toEqual(new Set(bits));
        expect(values.readExtendedKeyUsage(values.encodeExtendedKeyUsage(names))).toEqual(names);
        const access = { ocsp, caIssuers: [] };
        expect(values.readAuthorityInfoAccess(values.encodeAuthorityInfoAccess(access))).toEqual(
          access,
        );
        const [first] = ocsp as [string];
        expect(values.readCrlDistributionPoints(values.encodeCrlDistributionPoint(first))).toEqual([
          first,
        ]);
        expect(values.readSubjectKeyIdentifier(values.encodeSubjectKeyIdentifier(id))).toEqual(id);
        expect(values.readAuthorityKeyIdentifier(values.encodeAuthorityKeyIdentifier(id))).toEqual(
          id,
        );
        const extension = { oid: '2.5.29.14', critical: bits.length > 2, value: id };
        const list = Buffer.concat([encodeExtension(extension.oid, extension.critical, id)]);
        const wrapped = contextConstructed(16, list);
        expect(
          readExtensionList(new DerReader(Buffer.concat([Buffer.of(0x30), wrapped.subarray(1)]))),
        ).toEqual([extension]);
      }),
    );
    for (const length of [undefined, 0, 1, 127, 128])
      expect(
        values.readBasicConstraints(values.encodeBasicConstraints(true, length)).pathLenConstraint,
      ).toBe(length);
    expect(
      values.readCertificatePolicies(values.encodeCertificatePolicies(['2.5.29.32.0'])),
    ).toEqual(['2.5.29.32.0']);
  });
});

describe('names', () => {
  it('general names are read back, in their text form as well', () => {
    fc.assert(
      fc.property(fc.array(generalName, { minLength: 1 }), (names) => {
        const normal = names.map((name) =>
          normalizeGeneralName(name, { development: false, wildcard: false }),
        );
        expect(readGeneralNames(encodeGeneralNames(normal))).toEqual(normal);
        expect(normal.map(formatGeneralName).map(parseGeneralName)).toEqual(normal);
        expect(encodeGeneralNames(normal)).toEqual(encodeGeneralNames(names));
        expect(distinctNames([...normal, ...normal])).toEqual(distinctNames(normal));
        expect(
          encodeGeneralNames(normal).subarray(-encodeGeneralName(normal.at(-1)!).length),
        ).toEqual(encodeGeneralName(normal.at(-1)!));
        for (const { type, value } of normal)
          if (type === 'ip') expect(octetsToIpAddress(ipAddressToOctets(value))).toBe(value);
      }),
    );
  });

  it('distinguished names are byte for byte as of @peculiar/x509, and read back', () => {
    fc.assert(
      fc.property(attributes, (subject) => {
        const theirs = new peculiar.Name(
          subject.map(({ type, value }) => ({
            [type]: [{ [STRING_OF[type] ?? 'utf8String']: value }],
          })) as never,
        );
        const ours = encodeName(subject);
        expect(hex(ours)).toBe(hex(theirs.toArrayBuffer()));
        expect(readName(ours)).toEqual(subject);
        expect(formatName(ours)).toBe(formatName(subject));
      }),
    );
  });
  const STRING_OF: Readonly<Record<string, string>> = { C: 'printableString', DC: 'ia5String' };
});

describe('serial numbers and PEM', () => {
  it('go to octets, text and back without loss — covers: T31', () => {
    fc.assert(
      fc.property(serialNumber, (serial) => {
        const integer = new DerReader(serialNumberToInteger(serial));
        expect(serialNumberFromOctets(integer.integerOctets())).toBe(serial);
        expect(parseSerialNumber(formatSerialNumber(serial).toUpperCase())).toBe(serial);
        expect(parseSerialNumber(BigInt(`0x${serial}`).toString(), { decimal: true })).toBe(serial);
      }),
    );
  });

  it('fresh ones are 20 octets with 158 bits that vary — covers: T31', () => {
    let [ones, zeros] = [0n, 0n];
    for (let i = 0; i < 400; i++) {
      const value = BigInt(`0x${newSerialNumber()}`);
      expect(value >> 158n).toBe(1n);
      ones |= value;
      zeros |= ~value;
    }
    const random = (1n << 158n) - 1n;
    expect([ones & random, zeros & random]).toEqual([random, random]);
  });

  it('PEM gives back the octets, whatever stands around it', () => {
    const around = fc.string().filter((text) => !text.includes('-'));
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1 }), { minLength: 1 }),
        around,
        (blocks, text) => {
          const pem = blocks.map((der) => `${text}\n${toPem('CERTIFICATE', der)}`).join('');
          expect(fromPem(pem, 'CERTIFICATE').map(hex)).toEqual(blocks.map(hex));
        },
      ),
    );
  });
});

describe('what is signed', () => {
  it('certification requests are byte for byte as of @peculiar/x509, and read back', async () => {
    const { privateKey, publicKey: webKey } = pair;
    const own = KeyObject.from(privateKey);
    await fc.assert(
      fc.asyncProperty(fc.array(generalName, { minLength: 1, maxLength: 5 }), async (names) => {
        const theirs = await peculiar.Pkcs10CertificateRequestGenerator.create({
          keys: { privateKey, publicKey: webKey } as never,
          signingAlgorithm: ECDSA,
          extensions: [new peculiar.SubjectAlternativeNameExtension(names.map(peculiarName), true)],
        });
        const info = buildRequestInfo([], publicKeyInfoOf(own), names);
        expect(hex(info)).toBe(hex(readSigned(Buffer.from(theirs.rawData)).tbs));
        const der = buildCertificationRequest({
          privateKey: own,
          subject: [],
          subjectAltName: names,
        });
        expect((await parseCertificationRequestOffLoop(der)).subjectAltName).toEqual(
          parseCertificationRequest(der).subjectAltName,
        );
        expect(encodeGeneralNames(parseCertificationRequest(der).subjectAltName)).toEqual(
          encodeGeneralNames(
            distinctNames(parseCertificationRequest(Buffer.from(theirs.rawData)).subjectAltName),
          ),
        );
      }),
      { numRuns: 30 },
    );
  });

  it('certificates of any names pass the strict readers, also beyond 2049 — covers: T16', () => {
    const names = fc.uniqueArray(
      generalName.filter(({ type }) => type === 'dns' || type === 'ip'),
      { minLength: 1, maxLength: 10, selector: formatGeneralName },
    );
    const template = compileTemplate(TLS_SERVER, authority.info);
    fc.assert(
      fc.property(
        names,
        second,
        fc.integer({ min: 1, max: 45 * 86_400 }),
        (asked, from, seconds) => {
          const subjectAltName = asked.map((name) =>
            normalizeGeneralName(name, { development: false, wildcard: false }),
          );
          const notAfter = Math.min(from + seconds * SECOND, Date.UTC(9999, 11, 31, 23, 59, 59));
          fc.pre(notAfter > from);
          const fields = leafFields(key, {
            subject: [],
            subjectAltName,
            notBefore: from,
            notAfter,
          });
          const der = produced('certificate', signed(template.build(fields), authority.key));
          expect(readCertificate(der)).toMatchObject({ notBefore: from, notAfter, subjectAltName });
        },
      ),
      { numRuns: 50 },
    );
  });

  it('CA certificates say what they were built from — covers: T16', () => {
    fc.assert(
      fc.property(
        attributes,
        serialNumber,
        second,
        fc.option(fc.nat(5), { nil: undefined }),
        (subject, serial, at, length) => {
          fc.pre(at < Date.UTC(9999, 11, 31));
          const tbs = buildCaTbsCertificate({
            serialNumber: serial,
            issuer: authority.root.subject,
            subject,
            publicKey,
            issuerKeyIdentifier: authority.root.keyIdentifier!,
            signingKeyType: 'ec-p384',
            notBefore: at,
            notAfter: at + SECOND,
            ...(length !== undefined && { pathLenConstraint: length }),
          });
          const read = readCertificate(
            assembleSigned(tbs, signatureAlgorithm('ec-p384'), Buffer.alloc(8)),
          );
          expect(read).toMatchObject({
            serialNumber: serial,
            notBefore: at,
            notAfter: at + SECOND,
            isCa: true,
          });
          expect(read.pathLenConstraint).toBe(length);
          expect(readName(read.subject)).toEqual(subject);
        },
      ),
    );
  });

  const entry: fc.Arbitrary<CrlEntry> = fc.record({ serialNumber, revokedAt: second, reasonCode });

  it('CRLs are read back, and their entries are byte for byte as of @peculiar/x509 — covers: T16, T59', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(entry, { minLength: 1, maxLength: 6, selector: (one) => one.serialNumber }),
        second,
        async (entries, at) => {
          fc.pre(at < Date.UTC(9999, 11, 31));
          const tbs = buildTbsCertList({
            issuerName: authority.certificate.subject,
            issuerKeyIdentifier: authority.certificate.keyIdentifier!,
            signingKeyType: 'ec-p256',
            crlNumber: 7n,
            thisUpdate: at,
            nextUpdate: at + SECOND,
            entries: Buffer.concat(entries.map(encodeCrlEntry)),
            distributionPointUrl: 'http://status.example/crl/issuing/0.crl',
          });
          const list = readCertList(signed(tbs, authority.key));
          expect([...list.entries()]).toEqual(entries);
          expect(list).toMatchObject({ thisUpdate: at, nextUpdate: at + SECOND, crlNumber: 7n });
          const theirs = await peculiar.X509CrlGenerator.create({
            issuer: 'CN=any',
            thisUpdate: new Date(at),
            nextUpdate: new Date(at + SECOND),
            entries: entries.map(({ serialNumber: serial, revokedAt, reasonCode: reason }) => ({
              serialNumber: serial,
              revocationDate: new Date(revokedAt),
              ...(reason !== 0 && { reason }),
            })),
            signingAlgorithm: ECDSA,
            signingKey: pair.privateKey as never,
          });
          // Without a reason it writes an empty list of extensions, which RFC 5280 §5.1 does not allow.
          for (const one of entries.filter(({ reasonCode: reason }) => reason !== 0))
            expect(hex(theirs.rawData)).toContain(hex(encodeCrlEntry(one)));
        },
      ),
      { numRuns: 40 },
    );
  });

  it('OCSP requests and responses are read back, and pass the strict readers', () => {
    const responder = newKey();
    const delegate = produced(
      'certificate',
      signed(
        compileTemplate(OCSP_SIGNER, authority.info).build(
          leafFields(responder, { subject: [{ type: 'CN', value: 'OCSP' }], subjectAltName: [] }),
        ),
        authority.key,
      ),
    );
    const hashes = certIdHashes(authority.info.certificate);
    const status = fc.oneof(
      fc.constantFrom('good' as const, 'unknown' as const),
      fc.record({ revokedAt: second, reasonCode }),
    );
    const hash = fc.constantFrom('sha1' as const, 'sha256' as const);
    const nonce = fc.option(
      fc.uint8Array({ minLength: 1, maxLength: 128 }).map((b) => Buffer.from(b)),
      { nil: undefined },
    );
    fc.assert(
      fc.property(serialNumber, status, hash, nonce, (serial, said, algorithm, random) => {
        const certId = encodeCertId(algorithm, hashes[algorithm], serial);
        const request = readOcspRequest(encodeOcspRequest([certId], random));
        expect(request.requests[0]).toMatchObject({
          serialNumber: serial,
          hashAlgorithm: algorithm,
          certId,
        });
        expect(request.nonce).toEqual(random);
        const answer = { certId, status: said, thisUpdate: NOW, nextUpdate: NOW + 3600 * SECOND };
        const data = buildResponseData({
          responderKeyHash: publicKeyInfoOf(responder).keyIdentifier,
          producedAt: NOW,
          responses: [answer],
          ...(random && { nonce: random }),
        });
        const signature = signTbs(responder, data);
        const response = assembleOcspResponse(data, signatureAlgorithm('ec-p256'), signature, [
          delegate,
        ]);
        const read = readOcspResponse(produced('ocsp', response));
        expect(read.data.responses[0]).toMatchObject(answer);
        expect(read.data.nonce).toEqual(random);
      }),
      { numRuns: 40 },
    );
    expect(
      readOcspRequest(buildOcspRequest(authority.info.certificate, '7f')).requests[0]?.serialNumber,
    ).toBe('7f');
    expect(encodeNonce(Buffer.of(1)).length).toBeGreaterThan(1);
    for (const name of Object.keys(OCSP_ERROR_STATUS) as (keyof typeof OCSP_ERROR_STATUS)[])
      expect(() => readOcspResponse(ocspErrorResponse(name))).toThrow(name);
  });
  const NOW = Date.UTC(2026, 10, 21, 12);
});

function peculiarName({ type, value }: GeneralName): peculiar.JsonGeneralName {
  return { type: type === 'uri' ? 'url' : type, value };
}
