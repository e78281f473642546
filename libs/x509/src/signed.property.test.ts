import 'reflect-metadata';
import { KeyObject, webcrypto } from 'node:crypto';
import { produced } from '@gigvault/testkit/produced';
import { describe, expect, it } from '@jest/globals';
import * as peculiar from '@peculiar/x509';
import fc from 'fast-check';
import {
  attributes,
  generalName,
  peculiarName,
  second,
  serialNumber,
} from '../test/arbitraries.ts';
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
import {
  distinctNames,
  encodeGeneralNames,
  formatGeneralName,
  normalizeGeneralName,
} from './general-name.ts';
import { readName } from './name.ts';
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
import { publicKeyInfoOf } from './public-key.ts';
import { REASON_CODE } from './reason-code.ts';
import { signatureAlgorithm, signTbs } from './signature.ts';

const authority = newAuthority();
const key = newKey();
const publicKey = publicKeyInfoOf(key);
const SECOND = 1000;
const reasonCode = fc.constantFrom(...Object.values(REASON_CODE));
const hex = (bytes: ArrayBuffer | Uint8Array) => Buffer.from(bytes as Uint8Array).toString('hex');

const ECDSA = { name: 'ECDSA', hash: 'SHA-256' };
const pair = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
  'sign',
  'verify',
]);

peculiar.cryptoProvider.set(webcrypto as never);

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
