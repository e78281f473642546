import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import * as peculiar from '@peculiar/x509';
import fc from 'fast-check';
import { attributes, generalName, peculiarName, serialNumber, url } from '../test/arbitraries.ts';
import { contextConstructed, DerReader } from './der.ts';
import { encodeExtension, readExtensionList } from './extension.ts';
import * as values from './extension-values.ts';
import {
  distinctNames,
  encodeGeneralName,
  encodeGeneralNames,
  formatGeneralName,
  normalizeGeneralName,
  parseGeneralName,
  readGeneralNames,
} from './general-name.ts';
import { ipAddressToOctets, octetsToIpAddress } from './ip-address.ts';
import { encodeName, formatName, readName } from './name.ts';
import { EXTENDED_KEY_USAGE } from './oid.ts';
import { fromPem, toPem } from './pem.ts';
import {
  formatSerialNumber,
  newSerialNumber,
  parseSerialNumber,
  serialNumberFromOctets,
  serialNumberToInteger,
} from './serial-number.ts';

const octets = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => Buffer.from(bytes));
const hex = (bytes: ArrayBuffer | Uint8Array) => Buffer.from(bytes as Uint8Array).toString('hex');

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

  it('fresh ones are 20 octets with 158 random bits: each is one half of the time, and says nothing of its neighbour — covers: T31, L4', () => {
    const SAMPLE = 4_000;
    const BITS = 158;
    /** Six standard deviations: by chance once in a million runs. */
    const DEVIATION = 6 * (Math.sqrt(SAMPLE) / 2);
    const ones = Array<number>(BITS).fill(0);
    const alike = Array<number>(BITS).fill(0);
    const seen = new Set<string>();
    for (let i = 0; i < SAMPLE; i++) {
      const serial = newSerialNumber();
      seen.add(serial);
      const bits = BigInt(`0x${serial}`).toString(2);
      expect(bits).toHaveLength(BITS + 1);
      for (let bit = 0; bit < BITS; bit++) {
        if (bits[bit + 1] === '1') ones[bit]! += 1;
        if (bits[bit + 1] === (bits[bit + 2] ?? bits[1])) alike[bit]! += 1;
      }
    }
    expect(seen.size).toBe(SAMPLE);
    const odd = [...ones, ...alike].filter((n) => Math.abs(n - SAMPLE / 2) > DEVIATION);
    expect(odd).toEqual([]);
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
