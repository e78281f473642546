import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  leafFields,
  NOW,
  newAuthority,
  newKey,
  OCSP_SIGNER,
  openssl,
  opensslFile,
  signed,
  TLS_SERVER,
} from '../test/authority.ts';
import { compileTemplate } from './certificate-template.ts';
import {
  contextConstructed,
  DerError,
  integer,
  nullValue,
  octetString,
  oid,
  sequence,
} from './der.ts';
import { encodeExtension } from './extension.ts';
import {
  assembleOcspResponse,
  buildResponseData,
  certIdHashes,
  OcspRequestError,
  ocspErrorResponse,
  readOcspRequest,
  readResponseData,
  type SingleResponse,
} from './ocsp.ts';
import {
  buildOcspRequest,
  encodeCertId,
  encodeOcspRequest,
  readOcspResponse,
} from './ocsp-client.ts';
import { OID } from './oid.ts';
import { toPem } from './pem.ts';
import { publicKeyInfoOf } from './public-key.ts';
import { signatureAlgorithm, signTbs, verifySignature } from './signature.ts';

const authority = newAuthority();
const hashes = certIdHashes(authority.info.certificate);
const responderKey = newKey();
const responder = publicKeyInfoOf(responderKey);
const responderCertificate = signed(
  compileTemplate(OCSP_SIGNER, authority.info).build(
    leafFields(responderKey, {
      subject: [{ type: 'CN', value: 'OCSP' }],
      subjectAltName: [],
      notAfter: NOW + 30 * 86_400_000,
    }),
  ),
  authority.key,
);
const HOUR = 3_600_000;
const NONCE = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
const certId = (serialNumber: string, hash: 'sha1' | 'sha256' = 'sha1') =>
  encodeCertId(hash, hashes[hash], serialNumber);

function single(serialNumber: string, status: SingleResponse['status']): SingleResponse {
  return { certId: certId(serialNumber), status, thisUpdate: NOW, nextUpdate: NOW + HOUR };
}

function respond(responses: SingleResponse[], nonce?: Buffer): Buffer {
  const data = buildResponseData({
    responderKeyHash: responder.keyIdentifier,
    producedAt: NOW,
    responses,
    ...(nonce && { nonce }),
  });
  return assembleOcspResponse(data, signatureAlgorithm('ec-p256'), signTbs(responderKey, data), [
    responderCertificate,
  ]);
}

describe('readOcspRequest', () => {
  it.each([['sha1'], ['sha256']] as const)('reads what openssl asks with %s', (hash) => {
    const leaf = signed(
      compileTemplate(TLS_SERVER, authority.info).build(
        leafFields(newKey(), { serialNumber: 'c0ffee' }),
      ),
      authority.key,
    );
    const files = {
      'ca.pem': toPem('CERTIFICATE', authority.info.certificate),
      'leaf.pem': toPem('CERTIFICATE', leaf),
    };
    const script = [
      'ocsp',
      `-${hash}`,
      '-issuer',
      'ca.pem',
      '-cert',
      'leaf.pem',
      '-serial',
      '0x1234',
      '-reqout',
      'out',
    ];
    const request = readOcspRequest(opensslFile(script, files));
    expect(request.requests.map(({ serialNumber }) => serialNumber)).toEqual(['c0ffee', '1234']);
    expect(request.nonce?.length).toBe(16);
    for (const { hashAlgorithm, issuerNameHash, issuerKeyHash } of request.requests) {
      expect(hashAlgorithm).toBe(hash);
      expect({ issuerNameHash, issuerKeyHash }).toEqual(hashes[hash]);
    }
  });

  it('reads what buildOcspRequest and encodeOcspRequest write', () => {
    const request = readOcspRequest(
      encodeOcspRequest([certId('01'), certId('80', 'sha256')], NONCE),
    );
    expect(request.requests.map(({ certId: der }) => der)).toEqual([
      certId('01'),
      certId('80', 'sha256'),
    ]);
    expect(request.nonce).toEqual(NONCE);
    expect(readOcspRequest(encodeOcspRequest([certId('01')])).nonce).toBeUndefined();
    expect(buildOcspRequest(authority.info.certificate, '01', NONCE)).toEqual(
      encodeOcspRequest([certId('01')], NONCE),
    );
  });

  it('takes a hash algorithm without parameters, and requestor names', () => {
    const bare = sequence(
      sequence(oid(OID.sha1)),
      octetString(Buffer.alloc(20)),
      octetString(Buffer.alloc(20)),
      integer(5),
    );
    const named = sequence(
      sequence(contextConstructed(1, contextConstructed(4, sequence())), sequence(sequence(bare))),
    );
    expect(readOcspRequest(named).requests[0]?.serialNumber).toBe('05');
  });

  const withExtensions = (...extensions: Buffer[]) =>
    sequence(
      sequence(sequence(sequence(certId('01'))), contextConstructed(2, sequence(...extensions))),
    );
  const nonce = (octets: number) =>
    encodeExtension(OID.ocspNonce, false, octetString(Buffer.alloc(octets)));

  it('takes nonces of 1 to 128 octets (covers: T54)', () => {
    expect(readOcspRequest(withExtensions(nonce(1))).nonce?.length).toBe(1);
    expect(readOcspRequest(withExtensions(nonce(128))).nonce?.length).toBe(128);
  });

  // covers: T54
  it.each([
    ['no request', () => encodeOcspRequest([])],
    ['101 requests', () => encodeOcspRequest(Array.from({ length: 101 }, () => certId('01')))],
    [
      '10,000 requests',
      () => encodeOcspRequest(Array.from({ length: 10_000 }, () => certId('01'))),
    ],
    ['an empty nonce', () => withExtensions(nonce(0))],
    ['a nonce of 129 octets', () => withExtensions(nonce(129))],
    ['a nonce of 10,000 octets', () => withExtensions(nonce(10_000))],
    ['two nonces', () => withExtensions(nonce(8), nonce(8))],
    [
      'an unknown critical extension',
      () => withExtensions(encodeExtension('1.2.3', true, nullValue())),
    ],
    ['no extension in the list', () => withExtensions()],
    [
      'another hash',
      () =>
        encodeOcspRequest([
          sequence(
            sequence(oid('2.16.840.1.101.3.4.2.2')),
            octetString(Buffer.alloc(48)),
            octetString(Buffer.alloc(48)),
            integer(1),
          ),
        ]),
    ],
    [
      'hashes of the wrong length',
      () => encodeOcspRequest([encodeCertId('sha256', hashes.sha1, '01')]),
    ],
    [
      'a negative serial number',
      () =>
        encodeOcspRequest([
          sequence(
            sequence(oid(OID.sha1)),
            octetString(Buffer.alloc(20)),
            octetString(Buffer.alloc(20)),
            integer(-1),
          ),
        ]),
    ],
    [
      'another version',
      () => sequence(sequence(contextConstructed(0, integer(1)), sequence(sequence(certId('01'))))),
    ],
    ['trailing bytes', () => Buffer.concat([encodeOcspRequest([certId('01')]), Buffer.of(0)])],
    ['nothing', () => Buffer.alloc(0)],
    ['base64', () => Buffer.from(encodeOcspRequest([certId('01')]).toString('base64'))],
  ])('refuses %s', (_, make) => {
    expect(() => readOcspRequest(make())).toThrow(OcspRequestError);
    expect(() => readOcspRequest(make())).toThrow(
      expect.objectContaining({ status: 'malformedRequest' }),
    );
  });

  it('takes 100 requests', () => {
    expect(
      readOcspRequest(encodeOcspRequest(Array.from({ length: 100 }, () => certId('01')))).requests,
    ).toHaveLength(100);
  });

  it('throws OcspRequestError and nothing else for changed bytes', () => {
    const valid = encodeOcspRequest([certId('01'), certId('02')], NONCE);
    fc.assert(
      fc.property(
        fc.nat({ max: valid.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (at, change) => {
          const bytes = Buffer.from(valid);
          bytes[at]! ^= change;
          try {
            readOcspRequest(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(OcspRequestError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('OCSP responses', () => {
  const verify = (response: Buffer, request: Buffer) =>
    openssl(
      [
        'ocsp',
        '-respin',
        'r.der',
        '-reqin',
        'q.der',
        '-CAfile',
        'roots.pem',
        '-resp_text',
        '-attime',
        String(NOW / 1000 + 60),
      ],
      {
        'r.der': response,
        'q.der': request,
        'roots.pem':
          toPem('CERTIFICATE', authority.root.der) +
          toPem('CERTIFICATE', authority.info.certificate),
      },
    );

  it('verify with openssl: nonce, several answers, each status', () => {
    const response = respond(
      [
        single('01', 'good'),
        single('02', { revokedAt: NOW - HOUR, reasonCode: 1 }),
        single('03', 'unknown'),
        single('04', { revokedAt: NOW - HOUR, reasonCode: 0 }),
      ],
      NONCE,
    );
    const text = verify(
      response,
      encodeOcspRequest(
        ['01', '02', '03', '04'].map((serial) => certId(serial)),
        NONCE,
      ),
    );
    expect(text).toContain('Response verify OK');
    expect(text).toMatch(/Serial Number: 01\s+Cert Status: good/);
    expect(text).toMatch(
      /Serial Number: 02\s+Cert Status: revoked\s+Revocation Time: Nov 21 11:00:00 2026 GMT\s+Revocation Reason: keyCompromise/,
    );
    expect(text).toMatch(/Serial Number: 03\s+Cert Status: unknown/);
    expect(text).toMatch(
      /Serial Number: 04\s+Cert Status: revoked\s+Revocation Time: Nov 21 11:00:00 2026 GMT\s+This Update/,
    );
  });

  it('with another nonce do not match the request', () => {
    const response = respond([single('01', 'good')], Buffer.alloc(16, 7));
    expect(() => verify(response, encodeOcspRequest([certId('01')], NONCE))).toThrow(
      /Nonce Verify error/,
    );
  });

  it('are read back', () => {
    const responses = [
      single('01', 'good'),
      single('02', { revokedAt: NOW - HOUR, reasonCode: 4 }),
      single('03', 'unknown'),
    ];
    const {
      data,
      signatureAlgorithm: algorithm,
      signature,
      certificates,
    } = readOcspResponse(respond(responses, NONCE));
    expect(verifySignature(responder.keyObject, algorithm, data.tbs, signature)).toBe(true);
    expect(certificates).toEqual([responderCertificate]);
    expect(data).toMatchObject({
      producedAt: NOW,
      nonce: NONCE,
      responderKeyHash: responder.keyIdentifier,
      responses,
    });
    expect(data.responses.map(({ serialNumber }) => serialNumber)).toEqual(['01', '02', '03']);
  });

  it.each([
    ['malformedRequest', 'malformedrequest'],
    ['internalError', 'internalerror'],
    ['tryLater', 'trylater'],
    ['sigRequired', 'sigrequired'],
    ['unauthorized', 'unauthorized'],
  ] as const)('tell of %s', (status, printed) => {
    const response = ocspErrorResponse(status);
    expect(() => readOcspResponse(response)).toThrow(status);
    const ask = () => openssl(['ocsp', '-respin', 'r', '-noverify'], { r: response });
    expect(ask).toThrow(`Responder Error: ${printed}`);
  });

  it('refuse what cannot be said', () => {
    expect(() => respond([])).toThrow(DerError);
    expect(() => respond([single('01', { revokedAt: NOW, reasonCode: 7 })])).toThrow(DerError);
  });

  it('throw DerError and nothing else for changed bytes', () => {
    const valid = respond(
      [single('01', 'good'), single('02', { revokedAt: NOW, reasonCode: 1 })],
      NONCE,
    );
    const { tbs } = readOcspResponse(valid).data;
    const mutate = (bytes: Buffer, at: number, change: number) => {
      const copy = Buffer.from(bytes);
      copy[at % copy.length]! ^= change;
      return copy;
    };
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 255 }), (at, change) => {
        for (const read of [
          () => readOcspResponse(mutate(valid, at, change)),
          () => readResponseData(mutate(tbs, at, change)),
        ]) {
          try {
            read();
          } catch (error) {
            expect(error).toBeInstanceOf(DerError);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
