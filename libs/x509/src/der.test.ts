import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  bitString,
  boolean,
  contextConstructed,
  DerError,
  DerReader,
  generalizedTime,
  integer,
  octetString,
  oid,
  printableString,
  sequence,
  set,
  tlv,
  utcOrGeneralizedTime,
  utf8String,
} from './der.ts';

const read = (hex: string) => new DerReader(Buffer.from(hex, 'hex'));

describe('writer', () => {
  it.each([
    [0, '020100'],
    [127, '02017f'],
    [128, '02020080'],
    [-128, '020180'],
    [-129, '0202ff7f'],
    [65537, '0203010001'],
  ])('writes INTEGER %i', (value, hex) => {
    expect(integer(value).toString('hex')).toBe(hex);
  });

  it.each([
    [0, 2],
    [127, 2],
    [128, 3],
    [255, 3],
    [256, 4],
    [65535, 4],
    [65536, 5],
    [16777216, 6],
  ])('writes a minimal length for %i octets', (size, header) => {
    const der = octetString(Buffer.alloc(size));
    expect(der.length).toBe(header + size);
    expect(new DerReader(der).octetString().length).toBe(size);
  });

  it('sorts SET OF', () => {
    expect(set(integer(2), integer(1)).toString('hex')).toBe('3106020101020102');
  });

  it('writes UTCTime until 2049 and GeneralizedTime from 2050 (covers: T16)', () => {
    expect(utcOrGeneralizedTime(Date.UTC(2049, 11, 31, 23, 59, 59)).toString('latin1')).toBe(
      '\x17\x0d491231235959Z',
    );
    expect(utcOrGeneralizedTime(Date.UTC(2050, 0, 1)).toString('latin1')).toBe(
      '\x18\x0f20500101000000Z',
    );
    expect(utcOrGeneralizedTime(Date.UTC(9999, 11, 31, 23, 59, 59)).toString('latin1')).toBe(
      '\x18\x0f99991231235959Z',
    );
    expect(() => utcOrGeneralizedTime(Date.UTC(1949, 0, 1))).toThrow(DerError);
    expect(() => generalizedTime(Number.NaN)).toThrow(DerError);
  });

  it.each(['', '1', '3.1', '1.40', '1.2.x', '1.02', '1..2', '1.2.-3'])(
    'refuses the object identifier "%s"',
    (dotted) => {
      expect(() => oid(dotted)).toThrow(DerError);
    },
  );

  it('refuses what PrintableString cannot hold', () => {
    expect(() => printableString('a@b')).toThrow(DerError);
  });
});

describe('writer and reader', () => {
  it('agree on INTEGER', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(1n << 300n), max: 1n << 300n }), (value) => {
        expect(new DerReader(integer(value)).integer()).toBe(value);
      }),
    );
  });

  it('agree on OBJECT IDENTIFIER', () => {
    const arcs = fc.array(fc.nat(), { maxLength: 8 });
    fc.assert(
      fc.property(fc.nat({ max: 2 }), fc.nat({ max: 39 }), arcs, (first, second, rest) => {
        const dotted = [first, second, ...rest].join('.');
        expect(new DerReader(oid(dotted)).oid()).toBe(dotted);
      }),
    );
    expect(new DerReader(oid('2.999.3')).oid()).toBe('2.999.3');
  });

  it('agree on time', () => {
    const seconds = fc.integer({
      min: Date.UTC(1950, 0) / 1000,
      max: Date.UTC(9999, 11, 31) / 1000,
    });
    fc.assert(
      fc.property(seconds, (second) => {
        expect(new DerReader(utcOrGeneralizedTime(second * 1000)).time()).toBe(second * 1000);
        expect(new DerReader(generalizedTime(second * 1000)).generalizedTime()).toBe(second * 1000);
      }),
    );
  });

  it('agree on text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(new DerReader(utf8String(text)).string()).toBe(text);
      }),
    );
  });
});

describe('reader (covers: T23, L10)', () => {
  it.each([
    ['an indefinite length', '3080020101 0000'],
    ['a length that fits the short form', '04810101'],
    ['a length with a leading zero', '048200010100'],
    ['a length of five octets', '0485000000000100'],
    ['a length of 2^32 - 1', '0484ffffffff00'],
    ['a truncated length', '0482'],
    ['a truncated content', '040201'],
    ['a high tag', '1f8100'],
    ['nothing', ''],
    ['one octet', '04'],
  ])('refuses %s', (_, hex) => {
    expect(() => read(hex.replaceAll(' ', '')).content()).toThrow(DerError);
  });

  it.each(['0200', '02020001', '0202ffff'])('refuses INTEGER %s', (hex) => {
    expect(() => read(hex).integer()).toThrow(DerError);
  });

  it.each(['0100', '010101', '01020000'])('refuses BOOLEAN %s', (hex) => {
    expect(() => read(hex).boolean()).toThrow(DerError);
  });

  it.each(['0300', '030101', '03020801', '03020101', '020101'])('refuses BIT STRING %s', (hex) => {
    expect(() => read(hex).bitString()).toThrow(DerError);
  });

  it.each(['0600', '060180', '06022a80', '06032a8001'])('refuses OBJECT IDENTIFIER %s', (hex) => {
    expect(() => read(hex).oid()).toThrow(DerError);
  });

  it.each(['261301000000Z', '260230000000Z', '2601010000Z', '260101000000+0000', '260101246060Z'])(
    'refuses UTCTime %s',
    (text) => {
      expect(() => new DerReader(tlv(0x17, Buffer.from(text))).time()).toThrow(DerError);
    },
  );

  it.each([
    ['00000101000000Z', '0000-01-01T00:00:00Z'],
    ['00990228235959Z', '0099-02-28T23:59:59Z'],
    ['20240229120000Z', '2024-02-29T12:00:00Z'],
    ['20000229000000Z', '2000-02-29T00:00:00Z'],
  ])('reads GeneralizedTime %s', (text, iso) => {
    expect(new DerReader(tlv(0x18, Buffer.from(text))).generalizedTime()).toBe(Date.parse(iso));
  });

  it.each([
    '19000229000000Z',
    '20230229000000Z',
    '20230431000000Z',
    '20230100000000Z',
    '2023010100000:Z',
  ])('refuses GeneralizedTime %s', (text) => {
    expect(() => new DerReader(tlv(0x18, Buffer.from(text))).time()).toThrow(DerError);
  });

  it('refuses fractions and offsets in GeneralizedTime', () => {
    for (const text of ['20260101000000.5Z', '20260101000000', '00500230000000Z']) {
      expect(() => new DerReader(tlv(0x18, Buffer.from(text))).generalizedTime()).toThrow(DerError);
    }
  });

  it('goes 32 levels deep and no further', () => {
    const nested = (levels: number) => {
      let der: Buffer = integer(1);
      for (let level = 0; level < levels; level++) der = sequence(der);
      return der;
    };
    const descend = (levels: number) => {
      let reader = new DerReader(nested(levels));
      for (let level = 0; level < levels; level++) reader = reader.sequence();
      return reader.integer();
    };
    expect(descend(32)).toBe(1n);
    expect(() => descend(33)).toThrow(DerError);
    expect(() => descend(5_000)).toThrow(DerError);
  });

  it('tells of trailing bytes', () => {
    const reader = read('01010000');
    expect(reader.boolean()).toBe(false);
    expect(() => reader.expectEnd()).toThrow(DerError);
  });

  it('reads optional parts', () => {
    const reader = new DerReader(
      Buffer.concat([contextConstructed(1, boolean(true)), bitString(Buffer.of(0xa0), 5)]),
    );
    expect(reader.optionalContext(0)).toBeUndefined();
    expect(reader.optionalContext(1)?.boolean()).toBe(true);
    expect(reader.bitString()).toEqual({ unusedBits: 5, octets: Buffer.of(0xa0) });
    expect(reader.done).toBe(true);
  });

  it('throws DerError and nothing else for any bytes', () => {
    const methods = [
      'element',
      'content',
      'sequence',
      'set',
      'integer',
      'smallInteger',
      'boolean',
      'null',
      'octetString',
      'octetStringReader',
      'bitString',
      'bitOctets',
      'oid',
      'time',
      'generalizedTime',
      'string',
    ] as const;
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 40 }),
        fc.constantFrom(...methods),
        (bytes, method) => {
          try {
            new DerReader(bytes)[method]();
          } catch (error) {
            expect(error).toBeInstanceOf(DerError);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});
