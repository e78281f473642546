import { createPublicKey, generateKeyPairSync, generatePrimeSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { newKey, openssl } from '../test/authority.ts';
import { bitString, integer, nullValue, oid, sequence } from './der.ts';
import { OID } from './oid.ts';
import { type KeyType, keyTypeOf, publicKeyInfoOf, readPublicKey } from './public-key.ts';
import { modulusProblem } from './rsa-modulus.ts';
import { signatureAlgorithm, signTbs, verifySignature } from './signature.ts';

const BAD_KEY = expect.objectContaining({ code: 'BAD_PUBLIC_KEY' });
const KEY_TYPES: KeyType[] = ['ec-p256', 'ec-p384', 'ec-p521', 'rsa-2048', 'rsa-3072', 'ed25519'];
const KEYS = new Map(KEY_TYPES.map((keyType) => [keyType, newKey(keyType)]));

const rsaSpki = (modulus: bigint, exponent: bigint) =>
  sequence(
    sequence(oid(OID.rsaEncryption), nullValue()),
    bitString(sequence(integer(modulus), integer(exponent))),
  );
const ecSpki = (curve: string, point: Buffer) =>
  sequence(sequence(oid(OID.ecPublicKey), oid(curve)), bitString(point));
const edSpki = (hex: string) =>
  sequence(sequence(oid(OID.ed25519)), bitString(Buffer.from(hex, 'hex')));
const modulusOf = (bits: number) => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: bits });
  return BigInt(
    `0x${Buffer.from(publicKey.export({ format: 'jwk' }).n!, 'base64url').toString('hex')}`,
  );
};
const GOOD_MODULUS = modulusOf(2048);

describe('readPublicKey', () => {
  it.each(KEY_TYPES)('takes %s', (keyType) => {
    const key = KEYS.get(keyType)!;
    const info = publicKeyInfoOf(key);
    expect(info.keyType).toBe(keyType);
    expect(keyTypeOf(key)).toBe(keyType);
    expect(info.keyObject.equals(createPublicKey(key))).toBe(true);
    expect(info.spkiSha256).toMatch(/^[0-9a-f]{64}$/);
  });

  it('has the key identifier that OpenSSL computes', () => {
    const key = KEYS.get('rsa-2048')!;
    const pem = key.export({ format: 'pem', type: 'pkcs8' }) as string;
    const args = [
      'req',
      '-x509',
      '-new',
      '-key',
      'key.pem',
      '-subj',
      '/CN=x',
      '-addext',
      'subjectKeyIdentifier=hash',
      '-text',
      '-noout',
    ];
    const printed = openssl(args, { 'key.pem': pem });
    const identifier = publicKeyInfoOf(key)
      .keyIdentifier.toString('hex')
      .toUpperCase()
      .match(/../g)!
      .join(':');
    expect(printed).toContain(identifier);
  });

  it.each([
    [3000, 'rsa-2048'],
    [3080, 'rsa-3072'],
  ])('maps an RSA key of %i bits to %s', (bits, keyType) => {
    expect(readPublicKey(rsaSpki(modulusOf(bits), 65537n)).keyType).toBe(keyType);
  });

  // covers: T28
  it.each([
    ['RSA 1024', () => rsaSpki(modulusOf(1024), 65537n)],
    ['RSA 2047', () => rsaSpki(GOOD_MODULUS >> 1n, 65537n)],
    ['RSA 2052', () => rsaSpki(modulusOf(2052), 65537n)],
    ['RSA 4104', () => rsaSpki((1n << 4103n) + 1n, 65537n)],
    ['exponent 1', () => rsaSpki(GOOD_MODULUS, 1n)],
    ['exponent 3', () => rsaSpki(GOOD_MODULUS, 3n)],
    ['an even exponent', () => rsaSpki(GOOD_MODULUS, 65538n)],
    ['a negative exponent', () => rsaSpki(GOOD_MODULUS, -65537n)],
    ['a huge exponent', () => rsaSpki(GOOD_MODULUS, (1n << 256n) + 1n)],
    ['a negative modulus', () => rsaSpki(-GOOD_MODULUS, 65537n)],
    ['an even modulus', () => rsaSpki(GOOD_MODULUS - 1n, 65537n)],
    [
      'a modulus with a factor of 751',
      () => rsaSpki(751n * (((1n << 2048n) - 1n) / 751n - 2n), 65537n),
    ],
    [
      'P-224',
      () =>
        generateKeyPairSync('ec', { namedCurve: 'secp224r1' }).publicKey.export({
          format: 'der',
          type: 'spki',
        }),
    ],
    [
      'secp256k1',
      () =>
        generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({
          format: 'der',
          type: 'spki',
        }),
    ],
    [
      'explicit curve parameters',
      () =>
        generateKeyPairSync('ec', {
          namedCurve: 'P-256',
          paramEncoding: 'explicit',
        }).publicKey.export({ format: 'der', type: 'spki' }),
    ],
    [
      'a point off the curve',
      () => {
        const spki = Buffer.from(publicKeyInfoOf(KEYS.get('ec-p256')!).spki);
        spki[spki.length - 1]! ^= 1;
        return spki;
      },
    ],
    ['the point at infinity', () => ecSpki(OID.secp256r1, Buffer.of(0))],
    [
      'a compressed point',
      () => {
        const spki = publicKeyInfoOf(KEYS.get('ec-p256')!).spki;
        return ecSpki(
          OID.secp256r1,
          Buffer.concat([Buffer.of(2 + (spki[90]! & 1)), spki.subarray(27, 59)]),
        );
      },
    ],
    [
      'a coordinate of zero',
      () => ecSpki(OID.secp256r1, Buffer.concat([Buffer.of(4), Buffer.alloc(64)])),
    ],
    ['a small-order Ed25519 key', () => edSpki(`01${'00'.repeat(31)}`)],
    ['a small-order Ed25519 key with its sign bit', () => edSpki(`ec${'ff'.repeat(31)}`)],
    [
      'an Ed25519 key of order 8',
      () => edSpki('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'),
    ],
    ['a short Ed25519 key', () => edSpki('00'.repeat(31))],
    [
      'X25519',
      () => generateKeyPairSync('x25519').publicKey.export({ format: 'der', type: 'spki' }),
    ],
    [
      'DSA-like garbage',
      () => sequence(sequence(oid('1.2.840.10040.4.1')), bitString(Buffer.of(1))),
    ],
    [
      'trailing bytes',
      () => Buffer.concat([publicKeyInfoOf(KEYS.get('ec-p256')!).spki, Buffer.of(0)]),
    ],
    ['too many bytes', () => Buffer.alloc(3000)],
  ])('refuses %s', (_, make) => {
    expect(() => readPublicKey(make())).toThrow(BAD_KEY);
  });

  it('refuses primes that are close to each other', () => {
    const prime = generatePrimeSync(1024, { bigint: true });
    let next = prime + 2n;
    while (modulusProblem(prime * next) !== 'the two prime factors are too close to each other.')
      next += 2n;
    expect(next - prime).toBeLessThan(1000n);
    expect(() => readPublicKey(rsaSpki(prime * next, 65537n))).toThrow(BAD_KEY);
  });

  it('refuses the ROCA fingerprint', () => {
    // A power of 65537 modulo every small prime, by construction.
    expect(modulusProblem(65537n ** 120n)).toMatch(/ROCA/);
    expect(modulusProblem(GOOD_MODULUS)).toBeUndefined();
  });

  it('refuses the private keys that it does not know', () => {
    expect(() => keyTypeOf(generateKeyPairSync('x25519').privateKey)).toThrow(BAD_KEY);
    expect(() => keyTypeOf(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey)).toThrow(
      BAD_KEY,
    );
  });

  it('throws BAD_PUBLIC_KEY and nothing else for any bytes', () => {
    const valid = publicKeyInfoOf(KEYS.get('ec-p256')!).spki;
    fc.assert(
      fc.property(
        fc.nat({ max: valid.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (at, change) => {
          const bytes = Buffer.from(valid);
          bytes[at]! ^= change;
          expect(() => readPublicKey(bytes)).toThrow(BAD_KEY);
        },
      ),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(() => readPublicKey(bytes)).toThrow(BAD_KEY);
      }),
    );
  });
});

describe('signatures', () => {
  const tbs = Buffer.from('to be signed');

  it.each(KEY_TYPES)('of %s verify, and only they', (keyType) => {
    const key = KEYS.get(keyType)!;
    const publicKey = createPublicKey(key);
    const algorithm = signatureAlgorithm(keyType);
    const signature = signTbs(key, tbs);
    expect(verifySignature(publicKey, algorithm, tbs, signature)).toBe(true);
    expect(verifySignature(publicKey, algorithm, Buffer.from('other'), signature)).toBe(false);
    expect(verifySignature(publicKey, algorithm, tbs, Buffer.alloc(0))).toBe(false);
    const other = keyType === 'ed25519' ? 'ec-p256' : 'ed25519';
    expect(verifySignature(publicKey, signatureAlgorithm(other), tbs, signature)).toBe(false);
  });

  it('with unknown or malformed algorithms do not verify', () => {
    const publicKey = createPublicKey(KEYS.get('rsa-2048')!);
    const sha1WithRsa = sequence(oid('1.2.840.113549.1.1.5'), nullValue());
    for (const algorithm of [
      sha1WithRsa,
      Buffer.alloc(0),
      Buffer.of(0x30, 0),
      Buffer.of(0x30, 0x80, 0, 0),
    ]) {
      expect(verifySignature(publicKey, algorithm, tbs, Buffer.alloc(256))).toBe(false);
    }
  });
});
