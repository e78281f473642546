import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { newKey, openssl, signed } from '../test/authority.ts';
import {
  buildCertificationRequest,
  buildRequestInfo,
  parseCertificationRequest,
  parseCertificationRequestOffLoop,
} from './certification-request.ts';
import {
  boolean,
  contextConstructed,
  integer,
  oid,
  sequence,
  set,
  tlv,
  utf8String,
} from './der.ts';
import { encodeExtension } from './extension.ts';
import {
  encodeBasicConstraints,
  encodeExtendedKeyUsage,
  encodeKeyUsage,
} from './extension-values.ts';
import { encodeGeneralNames, type GeneralName } from './general-name.ts';
import { type Attribute, encodeName } from './name.ts';
import { OID } from './oid.ts';
import { toPem } from './pem.ts';
import { publicKeyInfoOf } from './public-key.ts';

const key = newKey();
const weakKey = newKey('rsa-2048');
const { spki } = publicKeyInfoOf(key);
const dns = (value: string): GeneralName => ({ type: 'dns', value });
const cn = (value: string): Attribute => ({ type: 'CN', value });
const sanExtension = (...names: GeneralName[]) =>
  encodeExtension(OID.subjectAltName, false, encodeGeneralNames(names));
const extensionRequest = (...extensions: Buffer[]) =>
  sequence(oid(OID.extensionRequest), set(sequence(...extensions)));
const BAD_CSR = (message?: RegExp) =>
  expect.objectContaining({
    code: 'BAD_CSR',
    ...(message && { message: expect.stringMatching(message) }),
  });

/** A signed request with these attributes, whatever they are. */
function request(
  attributes: Buffer[],
  subject: Buffer = encodeName([]),
  version: Buffer = integer(0),
): Buffer {
  return signed(sequence(version, subject, spki, contextConstructed(0, ...attributes)), key);
}

describe('parseCertificationRequest', () => {
  it.each(['ec-p256', 'ec-p384', 'ec-p521', 'rsa-2048', 'ed25519'] as const)(
    'reads what buildCertificationRequest writes with %s',
    (keyType) => {
      const privateKey = keyType === 'rsa-2048' ? weakKey : newKey(keyType);
      const names: GeneralName[] = [
        dns('a.example'),
        { type: 'ip', value: '::1' },
        { type: 'uri', value: 'spiffe://x/y' },
        { type: 'email', value: 'a@b.c' },
      ];
      const der = buildCertificationRequest({
        privateKey,
        subject: [cn('a.example')],
        subjectAltName: names,
      });
      const parsed = parseCertificationRequest(der);
      expect(parsed.subjectAltName).toEqual(names);
      expect(parsed.commonName).toBe('a.example');
      expect(parsed.publicKey.keyType).toBe(keyType);
      expect(parsed.requestedExtensions).toEqual([]);
      expect(
        openssl(['req', '-in', 'r.pem', '-verify', '-noout'], {
          'r.pem': toPem('CERTIFICATE REQUEST', der),
        }),
      ).toMatch(/verify OK/i);
    },
  );

  it('reads what openssl makes, and tells of other extensions', () => {
    const pem = key.export({ format: 'pem', type: 'pkcs8' }) as string;
    const config =
      '[req]\ndistinguished_name=d\nattributes=a\nprompt=no\nreq_extensions=e\n[d]\nCN=B.Example\nO=Org\n[a]\nchallengePassword=secret\n[e]\nsubjectAltName=DNS:b.example,DNS:B.example,IP:192.0.2.1\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\nbasicConstraints=CA:FALSE\n1.2.3.4=ASN1:NULL\n';
    const text = openssl(['req', '-new', '-config', 'c', '-key', 'k'], { c: config, k: pem });
    const base64 = text.split('-----')[2]!.replace(/\s/g, '');
    const parsed = parseCertificationRequest(Buffer.from(base64, 'base64'));
    expect(parsed.commonName).toBe('b.example');
    expect(parsed.subjectAltName).toEqual([dns('b.example'), { type: 'ip', value: '192.0.2.1' }]);
    expect(parsed.requestedExtensions).toEqual([
      { oid: OID.keyUsage, critical: true },
      { oid: OID.extKeyUsage, critical: false },
      { oid: OID.basicConstraints, critical: false },
      { oid: '1.2.3.4', critical: false },
    ]);
  });

  it('takes the common name when there are no names', () => {
    const read = (subject: Attribute[]) =>
      parseCertificationRequest(
        buildCertificationRequest({ privateKey: key, subject, subjectAltName: [] }),
      ).subjectAltName;
    expect(read([cn('A.example')])).toEqual([dns('a.example')]);
    expect(read([cn('2001:DB8::1')])).toEqual([{ type: 'ip', value: '2001:db8::1' }]);
    expect(read([cn('Jane Doe')])).toEqual([]);
    expect(read([])).toEqual([]);
  });

  it('finds a common name that is an address among the names', () => {
    const names: GeneralName[] = [{ type: 'ip', value: '2001:db8::1' }];
    const der = buildCertificationRequest({
      privateKey: key,
      subject: [cn('2001:DB8:0::1')],
      subjectAltName: names,
    });
    expect(parseCertificationRequest(der).subjectAltName).toEqual(names);
  });

  it('takes a request without attributes at all', () => {
    expect(
      parseCertificationRequest(signed(sequence(integer(0), encodeName([]), spki), key))
        .subjectAltName,
    ).toEqual([]);
  });

  it('refuses a signature of another key, and a changed request (covers: T30)', () => {
    const info = buildRequestInfo([], publicKeyInfoOf(key), [dns('a.example')]);
    expect(() => parseCertificationRequest(signed(info, newKey()))).toThrow(BAD_CSR(/possession/));
    const der = buildCertificationRequest({
      privateKey: key,
      subject: [],
      subjectAltName: [dns('a.example')],
    });
    const at = der.indexOf('a.example');
    der[at] = 'b'.charCodeAt(0);
    expect(() => parseCertificationRequest(der)).toThrow(BAD_CSR(/possession/));
  });

  it('refuses more than 100 names and more than 50,000 octets (covers: T22)', () => {
    const many = (count: number) => Array.from({ length: count }, (_, n) => dns(`n${n}.example`));
    const build = (count: number) =>
      buildCertificationRequest({ privateKey: key, subject: [], subjectAltName: many(count) });
    expect(parseCertificationRequest(build(100)).subjectAltName).toHaveLength(100);
    expect(() => parseCertificationRequest(build(101))).toThrow(BAD_CSR(/100 names/));
    expect(() => parseCertificationRequest(build(10_000))).toThrow(BAD_CSR(/50000 octets/));
    expect(() => parseCertificationRequest(Buffer.alloc(1_000_000))).toThrow(
      BAD_CSR(/50000 octets/),
    );
    // Before anything of it is read, or hashed.
    const unread = { length: 1_000_000 } as Uint8Array;
    expect(() => parseCertificationRequest(unread)).toThrow(BAD_CSR(/50000 octets/));
  });

  // covers: T27
  it.each([
    [
      'cA TRUE',
      () => [encodeExtension(OID.basicConstraints, true, encodeBasicConstraints(true))],
      /CA certificate/,
    ],
    [
      'an unknown critical extension',
      () => [encodeExtension('1.2.3.4', true, boolean(true))],
      /1\.2\.3\.4/,
    ],
    [
      'critical nameConstraints',
      () => [encodeExtension(OID.nameConstraints, true, sequence())],
      /2\.5\.29\.30/,
    ],
    ['an extension twice', () => [sanExtension(dns('a.b')), sanExtension(dns('a.b'))], /twice/],
    ['no extension', () => [], /empty/],
    [
      'no names in subjectAltName',
      () => [encodeExtension(OID.subjectAltName, false, sequence())],
      /empty/,
    ],
    ['an empty extKeyUsage', () => [encodeExtension(OID.extKeyUsage, false, sequence())], /empty/],
    [
      'an empty keyUsage',
      () => [encodeExtension(OID.keyUsage, false, Buffer.from('03020700', 'hex'))],
      /keyUsage/,
    ],
    [
      'trailing bytes in an extension',
      () => [
        encodeExtension(
          OID.keyUsage,
          false,
          Buffer.concat([encodeKeyUsage(['keyAgreement']), Buffer.of(0)]),
        ),
      ],
      /after/,
    ],
    [
      'otherName',
      () => [
        encodeExtension(OID.subjectAltName, false, sequence(contextConstructed(0, oid('1.2')))),
      ],
      /not supported/,
    ],
    [
      'a NUL in a name',
      () => [
        encodeExtension(OID.subjectAltName, false, sequence(tlv(0x82, Buffer.from('a.b\0.c')))),
      ],
      /ASCII/,
    ],
  ])('refuses %s', (_, extensions, message) => {
    expect(() => parseCertificationRequest(request([extensionRequest(...extensions())]))).toThrow(
      BAD_CSR(message),
    );
  });

  it('ignores other purposes, but tells of them (covers: T27)', () => {
    const der = request([
      extensionRequest(
        encodeExtension(OID.extKeyUsage, true, encodeExtendedKeyUsage(['OCSPSigning', '1.2.3'])),
      ),
    ]);
    expect(parseCertificationRequest(der).requestedExtensions).toEqual([
      { oid: OID.extKeyUsage, critical: true },
    ]);
  });

  // covers: T24, T26
  it.each([
    ['a common name that is not among the names', [cn('b.example')]],
    ['two common names', [cn('a.example'), cn('a.example')]],
  ])('refuses %s', (_, subject) => {
    const der = buildCertificationRequest({
      privateKey: key,
      subject,
      subjectAltName: [dns('a.example')],
    });
    expect(() => parseCertificationRequest(der)).toThrow(BAD_CSR(/common name/));
  });

  it('refuses a NUL in the common name (covers: T24)', () => {
    const name = sequence(set(sequence(oid(OID.commonName), utf8String('a.example\0.evil'))));
    expect(() => parseCertificationRequest(request([], name))).toThrow(BAD_CSR(/control/));
  });

  it('refuses a second extensionRequest and another version', () => {
    const one = extensionRequest(sanExtension(dns('a.b')));
    expect(() => parseCertificationRequest(request([one, one]))).toThrow(BAD_CSR(/twice/));
    expect(() => parseCertificationRequest(request([], encodeName([]), integer(1)))).toThrow(
      BAD_CSR(/version/),
    );
  });

  it('refuses weak keys as such (covers: T28)', () => {
    const info = sequence(
      integer(0),
      encodeName([]),
      sequence(sequence(oid('1.2.3')), tlv(3, Buffer.of(0, 1))),
      contextConstructed(0),
    );
    expect(() => parseCertificationRequest(signed(info, key))).toThrow(
      expect.objectContaining({ code: 'BAD_PUBLIC_KEY' }),
    );
  });

  // covers: T23
  it.each([
    ['nothing', Buffer.alloc(0)],
    [
      'an indefinite length',
      Buffer.concat([Buffer.of(0x30, 0x80), request([]).subarray(3), Buffer.of(0, 0)]),
    ],
    ['trailing bytes', Buffer.concat([request([]), Buffer.of(0)])],
    ['a length of 2^32 - 1', Buffer.of(0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x30)],
    ['10,000 levels', Buffer.alloc(20_000, Buffer.of(0x30, 0x80))],
    ['PEM', Buffer.from(toPem('CERTIFICATE REQUEST', request([])))],
  ])('refuses %s', (_, der) => {
    expect(() => parseCertificationRequest(der)).toThrow(BAD_CSR());
  });

  it('throws BAD_CSR or BAD_PUBLIC_KEY and nothing else for changed bytes (covers: T23)', () => {
    const valid = buildCertificationRequest({
      privateKey: key,
      subject: [cn('a.example')],
      subjectAltName: [dns('a.example')],
    });
    const refused = expect.objectContaining({
      code: expect.stringMatching(/^BAD_(CSR|PUBLIC_KEY)$/),
    });
    fc.assert(
      fc.property(
        fc.nat({ max: valid.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        fc.boolean(),
        (at, change, cut) => {
          const bytes = Buffer.from(cut ? valid.subarray(0, at) : valid);
          if (!cut) bytes[at]! ^= change;
          expect(() => parseCertificationRequest(bytes)).toThrow(refused);
        },
      ),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => parseCertificationRequest(bytes)).toThrow(refused);
      }),
    );
  });
});

describe('a request that is read again', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const subjectAltName = [{ type: 'dns' as const, value: 'again.example' }];
  const der = buildCertificationRequest({ privateKey, subject: [], subjectAltName });

  it('is the same, also when the octets that were given have changed since', async () => {
    const given = Buffer.from(der);
    const first = parseCertificationRequest(given);
    given.fill(0);
    expect(first.der).toEqual(der);
    expect(parseCertificationRequest(der)).toBe(first);
    expect(await parseCertificationRequestOffLoop(der)).toBe(first);
    expect(() => parseCertificationRequest(given)).toThrow();
  });

  it('does not lend its proof to one that differs in its signature alone', async () => {
    parseCertificationRequest(der);
    const forged = Buffer.from(der);
    forged[forged.length - 1]! ^= 1;
    expect(() => parseCertificationRequest(forged)).toThrow(/proof|prove|signature/);
    expect(() => parseCertificationRequest(forged)).toThrow(/proof|prove|signature/);
    await expect(parseCertificationRequestOffLoop(forged)).rejects.toMatchObject({
      code: 'BAD_CSR',
    });
  });
});
