import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DerError, integer, sequence } from './der.ts';
import {
  distinctNames,
  encodeGeneralNames,
  formatGeneralName,
  type GeneralName,
  normalizeGeneralName,
  parseGeneralName,
  readGeneralNames,
} from './general-name.ts';
import { ipAddressToOctets, normalizeIpAddress, octetsToIpAddress } from './ip-address.ts';
import { encodeName, formatName, readName } from './name.ts';
import { fromPem, toPem } from './pem.ts';
import {
  formatSerialNumber,
  newSerialNumber,
  parseSerialNumber,
  serialNumberToInteger,
} from './serial-number.ts';

const REJECTED = expect.objectContaining({ code: 'REJECTED_IDENTIFIER' });
const INVALID = expect.objectContaining({ code: 'INVALID_ARGUMENT' });

describe('Name', () => {
  it('writes and reads attributes', () => {
    const attributes = [
      { type: 'C', value: 'DE' },
      { type: 'O', value: 'Jürgen & Söhne, GmbH' },
      { type: 'OU', value: 'x' },
      { type: 'L', value: 'Köln' },
      { type: 'ST', value: 'NRW' },
      { type: 'DC', value: 'example' },
      { type: 'serialNumber', value: '12 34' },
      { type: 'CN', value: 'api.example' },
      { type: '2.5.4.12', value: 'title' },
    ];
    expect(readName(encodeName(attributes))).toEqual(attributes);
    expect(readName(encodeName([]))).toEqual([]);
  });

  it('formats with escapes', () => {
    const der = encodeName([
      { type: 'CN', value: 'api.example' },
      { type: 'O', value: 'Smith, "Sons" + Co' },
    ]);
    expect(formatName(der)).toBe('CN=api.example, O=Smith\\, \\"Sons\\" \\+ Co');
    expect(formatName([{ type: 'CN', value: 'a\nb' }])).toBe('CN=a\\0ab');
  });

  it.each([
    ['CN', ''],
    ['CN', 'a'.repeat(65)],
    ['CN', 'a\0b'],
    ['O', 'a\u0085b'],
    ['C', 'de'],
    ['C', 'DEU'],
    ['serialNumber', 'a@b'],
    ['DC', 'ü'],
    ['XX', 'unknown type'],
  ])('refuses %s "%s"', (type, value) => {
    expect(() => encodeName([{ type, value }])).toThrow(INVALID);
  });
});

describe('IP address', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1', 'c0000201'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1', '20010db8000000000000000000000001'],
    ['::', '::', '00'.repeat(16)],
    ['::ffff:192.0.2.1', '::ffff:c000:201', '00000000000000000000ffffc0000201'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3', '00010000000000020000000000000003'],
  ])('takes %s', (value, canonical, hex) => {
    expect(normalizeIpAddress(value)).toBe(canonical);
    expect(ipAddressToOctets(value).toString('hex')).toBe(hex);
    expect(octetsToIpAddress(Buffer.from(hex, 'hex'))).toBe(canonical);
  });

  it.each(['', '1.2.3', '01.2.3.4', '1.2.3.4.5', 'fe80::1%eth0', '::1/64', '[::1]', 'example.com'])(
    'refuses "%s"',
    (value) => {
      expect(() => normalizeIpAddress(value)).toThrow(REJECTED);
    },
  );

  it('agrees with itself on all octets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (octets) => {
        expect(ipAddressToOctets(octetsToIpAddress(Buffer.from(octets)))).toEqual(
          Buffer.from(octets),
        );
      }),
    );
  });
});

describe('GeneralName', () => {
  const names: GeneralName[] = [
    { type: 'dns', value: 'api.example' },
    { type: 'ip', value: '2001:db8::1' },
    { type: 'email', value: 'a@b.example' },
    { type: 'uri', value: 'spiffe://gigvault.local/service/ca' },
  ];

  it('writes and reads', () => {
    expect(readGeneralNames(encodeGeneralNames(names))).toEqual(names);
    expect(names.map(formatGeneralName).map(parseGeneralName)).toEqual(names);
    expect(
      names.map((name) => normalizeGeneralName(name, { development: false, wildcard: false })),
    ).toEqual(names);
  });

  it('keeps the first of equal names', () => {
    expect(distinctNames([names[1]!, names[0]!, names[1]!])).toEqual([names[1], names[0]]);
  });

  it('refuses none, other kinds, and text that is not printable ASCII', () => {
    expect(() => readGeneralNames(sequence())).toThrow(DerError);
    const other = Buffer.from('3004a0020500', 'hex');
    expect(() => readGeneralNames(other)).toThrow(DerError);
    expect(readGeneralNames(other, 'skip')).toEqual([]);
    expect(() => readGeneralNames(Buffer.from('30058203610062', 'hex'))).toThrow(DerError);
    expect(() => readGeneralNames(Buffer.from('30058703010203', 'hex'))).toThrow(DerError);
    expect(() => encodeGeneralNames([{ type: 'dns', value: 'ü.example' }])).toThrow(DerError);
  });

  it.each([
    { type: 'email', value: 'a@b@c.example' },
    { type: 'email', value: '@b.example' },
    { type: 'email', value: 'a b@c.example' },
    { type: 'uri', value: 'relative/path' },
    { type: 'uri', value: 'http://a b' },
  ] as const)('refuses $type $value', (name) => {
    expect(() => normalizeGeneralName(name, { development: false, wildcard: false })).toThrow(
      REJECTED,
    );
  });

  it('refuses unknown prefixes', () => {
    expect(() => parseGeneralName('otherName:x')).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_IDENTIFIER' }),
    );
  });
});

describe('serialNumber', () => {
  it('is 20 octets, positive, below 2^159, and new each time', () => {
    const seen = new Set<string>();
    for (let round = 0; round < 1000; round++) {
      const serialNumber = newSerialNumber();
      seen.add(serialNumber);
      const value = BigInt(`0x${serialNumber}`);
      expect(value >= 1n << 158n && value < 1n << 159n).toBe(true);
      expect(serialNumberToInteger(serialNumber).length).toBe(22);
    }
    expect(seen.size).toBe(1000);
  });

  it.each([
    ['01', '020101'],
    ['80', '02020080'],
    ['0080', '02020080'],
    ['00', '020100'],
  ])('encodes %s', (serialNumber, hex) => {
    expect(serialNumberToInteger(serialNumber).toString('hex')).toBe(hex);
  });

  it.each(['', 'a', 'AB', 'zz', '00'.repeat(21)])('does not encode "%s"', (serialNumber) => {
    expect(() => serialNumberToInteger(serialNumber)).toThrow(DerError);
  });

  it.each([
    ['AA:BB:01', 'aabb01'],
    [' 0xAbC ', '0abc'],
    ['00:00:12', '12'],
    ['00', '00'],
    ['aa bb-cc', 'aabbcc'],
  ])('parses %s', (text, serialNumber) => {
    expect(parseSerialNumber(text)).toBe(serialNumber);
  });

  it('parses decimals when told', () => {
    expect(parseSerialNumber('256', { decimal: true })).toBe('0100');
    expect(() => parseSerialNumber('0x10', { decimal: true })).toThrow(INVALID);
  });

  it.each(['', 'xyz', '12g', 'ff'.repeat(21)])('does not parse "%s"', (text) => {
    expect(() => parseSerialNumber(text)).toThrow(INVALID);
  });

  it('formats with colons', () => {
    expect(formatSerialNumber('0abc01')).toBe('0a:bc:01');
  });
});

describe('PEM', () => {
  it('writes and reads', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (bytes) => {
        const der = Buffer.from(bytes);
        expect(fromPem(toPem('CERTIFICATE', der), 'CERTIFICATE')).toEqual([der]);
      }),
    );
  });

  it('reads chains, other text, CRLF, and the old label of requests', () => {
    const one = toPem('CERTIFICATE', integer(1));
    const two = toPem('CERTIFICATE', integer(2)).replaceAll('\n', '\r\n');
    const key = toPem('PUBLIC KEY', integer(3));
    expect(fromPem(`subject=x\n${one}${key}${two}`, 'CERTIFICATE')).toEqual([
      integer(1),
      integer(2),
    ]);
    expect(fromPem(`${one}${key}`)).toHaveLength(2);
    expect(fromPem(toPem('NEW CERTIFICATE REQUEST', integer(4)), 'CERTIFICATE REQUEST')).toEqual([
      integer(4),
    ]);
  });

  it.each([
    '',
    'no pem',
    toPem('OTHER', integer(1)),
    '-----BEGIN CERTIFICATE-----\n=\n-----END CERTIFICATE-----',
  ])('refuses %j', (text) => {
    expect(() => fromPem(text, 'CERTIFICATE')).toThrow(INVALID);
  });
});
