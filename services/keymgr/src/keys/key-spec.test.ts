import { describe, expect, it } from '@jest/globals';
import {
  type AskedKeySpec,
  KEY_TYPES,
  requireHash,
  requireKeyId,
  requireKeySpec,
} from './key-spec.ts';

const spec = (asked: AskedKeySpec) => {
  const { keyType, usage } = requireKeySpec(asked);
  return `${keyType} ${usage}`;
};

describe('requireKeySpec', () => {
  it('covers: K59, X10. takes whole types as they are', () => {
    const specs = KEY_TYPES.map((keyType) => spec({ keyType }));
    expect(specs).toEqual(
      KEY_TYPES.map((keyType) => `${keyType} ${keyType.startsWith('aes-') ? 'encrypt' : 'sign'}`),
    );
    expect(KEY_TYPES).toHaveLength(16);
  });

  it.each([
    [{ keyType: 'rsa', keySize: 3072 }, 'rsa-3072 sign'],
    [{ keyType: 'rsa', keySize: 4096, usage: 'encrypt' }, 'rsa-4096 encrypt'],
    [{ keyType: 'rsa-2048', usage: 'encrypt' }, 'rsa-2048 encrypt'],
    [{ keyType: 'rsa-2048', keySize: 2048, hash: 'SHA-256' }, 'rsa-2048 sign'],
    [{ keyType: 'ecdsa', curve: 'P-256' }, 'ec-p256 sign'],
    [{ keyType: 'ecdsa', curve: 'P-384', hash: 'SHA-384' }, 'ec-p384 sign'],
    [{ keyType: 'ecdsa', curve: 'P-521' }, 'ec-p521 sign'],
    [{ keyType: 'ec-p521', curve: 'P-521' }, 'ec-p521 sign'],
    [{ keyType: 'aes', keySize: 192 }, 'aes-192 encrypt'],
    [{ keyType: 'aes-256', usage: 'encrypt' }, 'aes-256 encrypt'],
    [{ keyType: 'hmac', hash: 'SHA-512' }, 'hmac-sha512 sign'],
    [{ keyType: 'ml-dsa-65' }, 'ml-dsa-65 sign'],
  ] as const)('covers: K73. reads %j as %s', (asked, expected) => {
    expect(spec(asked)).toBe(expected);
  });

  it.each([
    ['INVALID_KEY_TYPE', { keyType: 'dsa' }],
    ['INVALID_KEY_TYPE', { keyType: 'toString' }],
    ['INVALID_KEY_TYPE', { keyType: 'RSA', keySize: 2048 }],
    ['INVALID_KEY_SIZE', { keyType: 'rsa' }],
    ['INVALID_KEY_SIZE', { keyType: 'rsa', keySize: 1024 }],
    ['INVALID_KEY_SIZE', { keyType: 'rsa-2048', keySize: 3072 }],
    ['INVALID_KEY_SIZE', { keyType: 'aes', keySize: 512 }],
    ['INVALID_KEY_SIZE', { keyType: 'ed25519', keySize: 256 }],
    ['INVALID_CURVE', { keyType: 'ecdsa' }],
    ['INVALID_CURVE', { keyType: 'ecdsa', curve: 'secp256k1' }],
    ['INVALID_CURVE', { keyType: 'ecdsa', curve: 'toString' }],
    ['INVALID_CURVE', { keyType: 'ec-p256', curve: 'P-384' }],
    ['INVALID_CURVE', { keyType: 'rsa-2048', curve: 'P-256' }],
    ['INVALID_HASH_ALGORITHM', { keyType: 'hmac' }],
    ['INVALID_HASH_ALGORITHM', { keyType: 'hmac', hash: 'MD5' }],
    ['INVALID_HASH_ALGORITHM', { keyType: 'ec-p256', hash: 'SHA-384' }],
    ['INVALID_HASH_ALGORITHM', { keyType: 'ed25519', hash: 'SHA-512' }],
    ['INVALID_ARGUMENT', { keyType: 'ec-p256', usage: 'encrypt' }],
    ['INVALID_ARGUMENT', { keyType: 'aes-256', usage: 'sign' }],
    ['INVALID_ARGUMENT', { keyType: 'rsa-2048', usage: 'wrap' }],
  ] as const)('covers: K55, K56, K57, K58. says %s of %j', (code, asked) => {
    expect(() => requireKeySpec(asked)).toThrow(expect.objectContaining({ code }));
  });
});

describe('requireHash', () => {
  it('covers: K58. takes the hash of the type alone', () => {
    requireHash('ec-p384', 'SHA-384');
    requireHash('ed25519', undefined);
    expect(() => requireHash('ml-dsa-44', 'SHA-256')).toThrow('have no hash to choose');
  });
});

describe('requireKeyId', () => {
  it('covers: K54, X9. takes letters, digits and dashes, 1 to 255', () => {
    for (const keyId of ['a', 'A-1', 'x'.repeat(255)]) expect(requireKeyId(keyId)).toBe(keyId);
    for (const keyId of ['', 'x'.repeat(256), 'a_b', 'k@1', '../k', 'ä'])
      expect(() => requireKeyId(keyId)).toThrow(
        expect.objectContaining({ code: 'INVALID_KEY_ID' }),
      );
  });
});
