import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { describe, expect, it } from '@jest/globals';
import { jwsSigner, signJws, signRaw } from '../../test/jws-signer.ts';
import { readJwk } from './jwk.ts';
import { parseJws, verifyJws } from './jws.ts';

const URL = 'https://ca.example/acme/new-account';

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof GigvaultError) return error.code;
    throw error;
  }
  return 'accepted';
}

function verifyBody(body: Buffer): void {
  const jws = parseJws(body);
  verifyJws(jws, readJwk(jws.jwk).publicKey);
}

function edited(body: Buffer, change: Record<string, unknown>): Buffer {
  return Buffer.from(JSON.stringify({ ...(JSON.parse(body.toString()) as object), ...change }));
}

const signer = jwsSigner();
const good = signJws(signer, { jwk: signer.jwk, url: URL, nonce: 'abc_' }, {});

describe('algorithms', () => {
  it.each(['ES256', 'ES384', 'ES512', 'RS256', 'EdDSA'])('verifies %s', (alg) => {
    const own = jwsSigner(alg);
    const body = signJws(own, { jwk: own.jwk, url: URL }, { a: 1 });
    expect(codeOf(() => verifyBody(body))).toBe('accepted');
    expect(parseJws(body).payload.toString()).toBe('{"a":1}');
  });

  it.each(['none', 'HS256', 'HS512', 'ES256K', 'RS1', 'PS256', 'constructor', ''])(
    'refuses alg %p — covers: T34',
    (alg) => {
      const body = signJws(signer, { alg, jwk: signer.jwk, url: URL }, {});
      expect(codeOf(() => verifyBody(body))).toBe('BAD_SIGNATURE_ALGORITHM');
    },
  );

  it('refuses an HMAC keyed with the public key — covers: T34', () => {
    const header = Buffer.from(
      JSON.stringify({ alg: 'HS256', jwk: signer.jwk, url: URL }),
    ).toString('base64url');
    const pem = signer.publicKey.export({ format: 'pem', type: 'spki' });
    const signature = createHmac('sha256', pem).update(`${header}.`).digest('base64url');
    const body = Buffer.from(JSON.stringify({ protected: header, payload: '', signature }));
    expect(codeOf(() => verifyBody(body))).toBe('BAD_SIGNATURE_ALGORITHM');
  });

  it.each([
    ['ES256', 'RS256'],
    ['RS256', 'ES256'],
    ['ES384', 'ES256'],
    ['EdDSA', 'ES256'],
  ])('refuses alg %s with a key of %s — covers: T34', (alg, kind) => {
    const own = jwsSigner(kind);
    const body = signRaw(own, JSON.stringify({ alg, jwk: own.jwk, url: URL }), Buffer.alloc(0));
    expect(codeOf(() => verifyBody(body))).toBe('BAD_SIGNATURE_ALGORITHM');
  });
});

describe('form', () => {
  it.each([
    ['an unprotected header', { header: { kid: 'x' } }],
    [
      'general serialisation',
      {
        signatures: [
          { protected: '', signature: '' },
          { protected: '', signature: '' },
        ],
      },
    ],
    ['padding', { payload: 'e30=' }],
    ['the other base64 alphabet', { signature: 'ab+/' }],
    ['bits beyond the last octet', { payload: 'e31' }],
    ['no signature', { signature: undefined }],
  ])('refuses %s — covers: T34', (_what, change) => {
    expect(codeOf(() => verifyBody(edited(good, change)))).toBe('INVALID_ARGUMENT');
  });

  it.each([
    ['crit', { crit: ['exp'], exp: 1 }],
    ['b64', { b64: false }],
    ['both jwk and kid', { kid: 'https://ca.example/acme/account/1' }],
    ['a url that is no string', { url: 5 }],
    ['neither jwk nor kid', { jwk: undefined }],
    ['no alg', { alg: undefined }],
  ])('refuses %s — covers: T34', (_what, change) => {
    const body = signJws(signer, { jwk: signer.jwk, url: URL, ...change }, {});
    expect(codeOf(() => verifyBody(body))).toBe('INVALID_ARGUMENT');
  });

  it('refuses a header parameter that occurs twice — covers: T34', () => {
    const jwk = JSON.stringify(signer.jwk);
    const body = signRaw(
      signer,
      `{"alg":"none","alg":"ES256","jwk":${jwk},"url":"${URL}"}`,
      Buffer.alloc(0),
    );
    expect(codeOf(() => verifyBody(body))).toBe('INVALID_ARGUMENT');
  });

  it('refuses a changed payload, header or signature', () => {
    const other = Buffer.from('{"x":1}').toString('base64url');
    expect(codeOf(() => verifyBody(edited(good, { payload: other })))).toBe('INVALID_ARGUMENT');
    const forged = signJws(jwsSigner(), { jwk: signer.jwk, url: URL }, {});
    expect(codeOf(() => verifyBody(forged))).toBe('INVALID_ARGUMENT');
  });
});

describe('ECDSA signatures', () => {
  const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const part = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex');
  const jws = parseJws(good);
  const r = jws.signature.subarray(0, 32);
  const s = jws.signature.subarray(32);
  const with_ = (signature: Buffer) => edited(good, { signature: signature.toString('base64url') });

  it.each([
    ['r = 0', Buffer.concat([part(0n), s])],
    ['s = 0', Buffer.concat([r, part(0n)])],
    ['both 0', Buffer.alloc(64)],
    ['r = n', Buffer.concat([part(n), s])],
    ['s = n', Buffer.concat([r, part(n)])],
    ['s + n of another length', Buffer.concat([r, Buffer.from([1]), s])],
    ['one octet less', jws.signature.subarray(0, 63)],
    ['one octet more', Buffer.concat([jws.signature, Buffer.alloc(1)])],
    ['nothing', Buffer.alloc(0)],
    ['DER', sign('sha256', jws.signingInput, signer.privateKey)],
  ])('refuses %s — covers: T35', (_what, signature) => {
    expect(codeOf(() => verifyBody(with_(signature)))).toBe('INVALID_ARGUMENT');
  });

  it('accepts the signature with n - s, which ECDSA does not forbid — covers: T35', () => {
    const flipped = Buffer.concat([r, part(n - BigInt(`0x${s.toString('hex')}`))]);
    expect(codeOf(() => verifyBody(with_(flipped)))).toBe('accepted');
  });

  it('refuses an RSA signature that is shorter than the modulus — covers: T35', () => {
    const rsa = jwsSigner('RS256');
    const body = signJws(rsa, { jwk: rsa.jwk, url: URL }, {});
    const short = parseJws(body).signature.subarray(1).toString('base64url');
    expect(codeOf(() => verifyBody(edited(body, { signature: short })))).toBe('INVALID_ARGUMENT');
  });
});

describe('jwk', () => {
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({
    format: 'jwk',
  });
  const { x, y } = signer.jwk as { x: string; y: string };

  it.each([
    ['private members', { ...signer.jwk, d: 'AA' }, 'INVALID_ARGUMENT'],
    ['a symmetric key', { kty: 'oct', k: 'AA' }, 'INVALID_ARGUMENT'],
    [
      'a short coordinate',
      { ...signer.jwk, x: Buffer.from(x, 'base64url').subarray(1).toString('base64url') },
      'INVALID_ARGUMENT',
    ],
    ['a point off the curve', { ...signer.jwk, x: y, y: x }, 'BAD_PUBLIC_KEY'],
    [
      'the point at infinity',
      { ...signer.jwk, x: 'A'.repeat(43), y: 'A'.repeat(43) },
      'BAD_PUBLIC_KEY',
    ],
    ['secp256k1', { ...signer.jwk, crv: 'secp256k1' }, 'BAD_PUBLIC_KEY'],
    ['Ed448', { kty: 'OKP', crv: 'Ed448', x: 'AA' }, 'BAD_PUBLIC_KEY'],
    ['RSA of 1024 bits', weak, 'BAD_PUBLIC_KEY'],
    ['no object', 'key', 'INVALID_ARGUMENT'],
    [
      'a curve named like a property of objects',
      { ...signer.jwk, crv: 'toString' },
      'BAD_PUBLIC_KEY',
    ],
  ])('refuses %s — covers: T28', (_what, jwk, code) => {
    expect(codeOf(() => readJwk(jwk))).toBe(code);
  });

  it('makes the thumbprint of RFC 7638 §3.1', () => {
    const n =
      '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw';
    const key = readJwk({ kty: 'RSA', n, e: 'AQAB', alg: 'RS256', kid: '2011-04-29' });
    expect(key.thumbprint).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs');
  });
});
