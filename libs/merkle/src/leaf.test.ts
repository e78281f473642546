import type { Event } from '@gigvault/proto/event/v1/event_log';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeLeaf, encodeLeaf } from './leaf.ts';

const event: Event = {
  position: 7,
  producer: 'ca',
  type: 'certificate.issued',
  occurredAt: 1763764800000,
  actor: 'user:1',
  subject: '0a1b',
  data: Buffer.from('{"10":1,"9":2,"names":["ä"]}'),
  traceId: '',
};

describe('a leaf', () => {
  it('is the canonical JSON of the event', () => {
    expect(encodeLeaf(event).toString()).toBe(
      '{"actor":"user:1","data":{"10":1,"9":2,"names":["ä"]},"occurredAt":1763764800000,"position":7,"producer":"ca",' +
        '"subject":"0a1b","traceId":"","type":"certificate.issued","v":1}',
    );
  });

  it('reads back to the same event, byte for byte, whatever the texts', () => {
    const text = fc.string({ unit: 'binary' }).filter((s) => s.isWellFormed());
    const data = fc
      .dictionary(text, fc.jsonValue())
      .map((value) => Buffer.from(JSON.stringify(value)));
    fc.assert(
      fc.property(text, text, text, data, fc.nat(), (actor, subject, type, bytes, position) => {
        const written = { ...event, actor, subject, type, data: bytes, position };
        expect(decodeLeaf(encodeLeaf(written))).toEqual(written);
      }),
    );
  });

  it('refuses data that is no JSON object, and bytes that are no leaf', () => {
    for (const data of ['[]', 'null', '1', '{', '', '"x"']) {
      expect(() => encodeLeaf({ ...event, data: Buffer.from(data) })).toThrow('not a JSON object');
    }
    expect(() =>
      encodeLeaf({ ...event, data: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]) }),
    ).toThrow();
    const text = encodeLeaf(event).toString();
    for (const bytes of [
      '',
      '{}',
      'null',
      `${text} `,
      text.replace('"v":1', '"v":2'),
      text.replace('"actor"', '"Actor"'),
    ]) {
      expect(() => decodeLeaf(Buffer.from(bytes))).toThrow('not a leaf');
    }
  });

  it('throws INVALID_ARGUMENT and nothing else for any bytes', () => {
    const text = encodeLeaf(event);
    const bytes = fc.oneof(
      fc.uint8Array().map((octets) => Buffer.from(octets)),
      fc.json().map((json) => Buffer.from(json)),
      fc.tuple(fc.nat(text.length - 1), fc.nat(255)).map(([at, octet]) => {
        const other = Buffer.from(text);
        other[at] = octet;
        return other;
      }),
    );
    fc.assert(
      fc.property(bytes, (leaf) => {
        try {
          expect(encodeLeaf(decodeLeaf(leaf))).toEqual(leaf);
        } catch (error) {
          expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
        }
      }),
      { numRuns: 500 },
    );
  });
});
