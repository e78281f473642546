import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { NOW, newAuthority } from '../test/authority.ts';
import {
  buildTbsCertList,
  type CertListFields,
  type CrlEntry,
  encodeCrlEntry,
  frameTbsCertList,
  readTbsCertList,
} from './crl.ts';
import { type CheckedTbsCertList, checkTbsCertList } from './crl-parts.ts';
import { DerError } from './der.ts';

const authority = newAuthority();
const FIELDS: Omit<CertListFields, 'entries'> = {
  issuerName: authority.certificate.subject,
  issuerKeyIdentifier: authority.certificate.keyIdentifier!,
  signingKeyType: 'ec-p256',
  crlNumber: 258n,
  thisUpdate: NOW,
  nextUpdate: NOW + 3_600_000,
  distributionPointUrl: 'http://status.example/crl/issuing/0.crl',
};

const entries = fc.array(
  fc.record({
    serialNumber: fc
      .uint8Array({ minLength: 1, maxLength: 20 })
      .map((octets) => Buffer.from(octets).toString('hex'))
      .filter((hex) => !hex.startsWith('00')),
    // Before and after 2050, on every day of the month.
    revokedAt: fc.integer({ min: 0, max: 2_600_000_000 }).map((seconds) => seconds * 1000),
    reasonCode: fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 8, 9, 10),
  }) satisfies fc.Arbitrary<CrlEntry>,
  { maxLength: 12 },
);

/** Head, entries in parts of at most `size`, tail. */
function partsOf(list: readonly CrlEntry[], size: number): Buffer[] {
  const encoded = list.map(encodeCrlEntry);
  const { head, tail } = frameTbsCertList(FIELDS, Buffer.concat(encoded).length);
  const middle: Buffer[] = [];
  for (let i = 0; i < encoded.length; i += size)
    middle.push(Buffer.concat(encoded.slice(i, i + size)));
  return [head, ...middle, tail];
}

function check(parts: readonly Buffer[], length = Buffer.concat(parts).length): CheckedTbsCertList {
  const checker = checkTbsCertList(length);
  for (const part of parts) checker.push(part);
  return checker.end();
}

/** Undefined when it throws DerError; another error fails the test. */
function unlessRefused<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

describe('a TBSCertList in parts', () => {
  it('is, joined, the list that is built at once, and says the same', () => {
    fc.assert(
      fc.property(entries, fc.integer({ min: 1, max: 5 }), (list, size) => {
        const parts = partsOf(list, size);
        const whole = buildTbsCertList({
          ...FIELDS,
          entries: Buffer.concat(list.map(encodeCrlEntry)),
        });
        expect(Buffer.concat(parts).equals(whole)).toBe(true);
        const { tbs: _, entries: __, ...said } = readTbsCertList(whole);
        expect(check(parts)).toEqual(said);
      }),
    );
  });

  it('is refused whenever the reader refuses the whole: one octet changed, anywhere', () => {
    let accepted = 0;
    let refused = 0;
    fc.assert(
      fc.property(entries, fc.nat(), fc.integer({ min: 1, max: 255 }), (list, place, change) => {
        const parts = partsOf(list, 3).map((part) => Buffer.from(part));
        let at = place % Buffer.concat(parts).length;
        const part = parts.find((one) => {
          if (at < one.length) return true;
          at -= one.length;
          return false;
        })!;
        part[at] = part[at]! ^ change;
        const length = Buffer.concat(parts).length;
        const ours = unlessRefused(() => check(parts, length)) !== undefined;
        const readers =
          unlessRefused(() => [...readTbsCertList(Buffer.concat(parts)).entries()]) !== undefined;
        if (ours) accepted++;
        else refused++;
        expect([ours, !ours || readers]).toEqual([ours, true]);
      }),
      { numRuns: 3_000 },
    );
    // Both happen: serial numbers may change, structure may not.
    expect([accepted > 100, refused > 100]).toEqual([true, true]);
  });

  it('is refused when a part is missing, twice, cut or too much', () => {
    const list = Array.from({ length: 9 }, (_, i) => ({
      serialNumber: `0${i + 1}aa`,
      revokedAt: NOW,
      reasonCode: 1,
    }));
    const parts = partsOf(list, 3);
    const [head, first, second, third, tail] = parts as [Buffer, Buffer, Buffer, Buffer, Buffer];
    const { length } = Buffer.concat(parts);
    for (const wrong of [
      [head, first, second, tail],
      [head, first, second, third],
      [head, first, first, second, third, tail],
      [head, first, second, third, tail, tail],
      [head, first, second.subarray(0, 10), second.subarray(10), third, tail],
      [Buffer.concat([head, first]), second, third, tail],
      [first, second, third, tail],
      [head, first, second, third, Buffer.alloc(0), tail],
      [],
    ]) {
      expect(() => check(wrong, length)).toThrow(DerError);
    }
    expect(() => check(parts, length + 1)).toThrow(DerError);
    expect(check(parts).crlNumber).toBe(258n);
  });
});
