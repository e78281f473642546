import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { fuzz } from '../../fuzz/jws.ts';
import { jwsSigner, signJws } from '../../test/jws-signer.ts';
import { decodeBase64Url } from './base64url.ts';
import { readJwk } from './jwk.ts';
import { parseJws, verifyJws } from './jws.ts';

const URL = 'https://ca.example/acme/new-order';
const signer = jwsSigner();
const good = signJws(signer, { jwk: signer.jwk, url: URL, nonce: 'abc_' }, { a: 1 });

function verified(body: Buffer): Buffer {
  const jws = parseJws(body);
  verifyJws(jws, readJwk(jws.jwk).publicKey);
  return jws.payload;
}

describe('JWS', () => {
  it('gives back the payload that was signed, for any JSON', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (payload) => {
        const body = signJws(signer, { jwk: signer.jwk, url: URL, nonce: 'abc_' }, payload);
        expect(JSON.parse(verified(body).toString())).toEqual(JSON.parse(JSON.stringify(payload)));
      }),
      { numRuns: 50 },
    );
  });

  it('does not verify with any octet of header, payload or signature changed — covers: T34', () => {
    const parts = JSON.parse(good.toString()) as Record<string, string>;
    const part = fc.constantFrom('protected', 'payload', 'signature');
    fc.assert(
      fc.property(part, fc.nat(), fc.integer({ min: 1, max: 255 }), (name, place, change) => {
        const octets = Buffer.from(parts[name]!, 'base64url');
        const at = place % octets.length;
        octets[at] = octets[at]! ^ change;
        const changed = { ...parts, [name]: octets.toString('base64url') };
        expect(() => verified(Buffer.from(JSON.stringify(changed)))).toThrow();
      }),
    );
  });

  it('throws errors of the house and nothing else for any bytes, and for any JSON', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => fuzz(Buffer.from(bytes))));
    fc.assert(fc.property(fc.json(), (text) => fuzz(Buffer.from(text))));
    const members = fc.record(
      {
        protected: fc.base64String(),
        payload: fc.base64String(),
        signature: fc.base64String(),
        header: fc.object(),
      },
      { requiredKeys: [] },
    );
    fc.assert(fc.property(members, (value) => fuzz(Buffer.from(JSON.stringify(value)))));
  });

  it('base64url has one spelling', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const text = Buffer.from(bytes).toString('base64url');
        expect(decodeBase64Url(text, 'it')).toEqual(Buffer.from(bytes));
        expect(() => decodeBase64Url(`${text}=`, 'it')).toThrow('base64url');
      }),
    );
  });
});
