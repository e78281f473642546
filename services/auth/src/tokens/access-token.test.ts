import { describe, expect, it } from '@jest/globals';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { memoryTokenSigner } from '../adapters/memory-token-signer.ts';
import { keyThumbprint, signAccessToken } from './access-token.ts';

const NAMES = { issuer: 'https://pki.example', audience: 'https://pki.example/service' };
const CONTENT = {
  user: {
    userId: 'u1',
    name: 'grace',
    displayName: 'Grace',
    roles: ['requester'],
    status: 'active',
    tenantId: 'default',
    createdAt: 0,
  },
  keyId: '0123456789abcdef',
  tokenId: 't1',
  issuedAt: 0,
  expiresAt: 900_000,
} as const;

describe('signing an access token', () => {
  it('names the key by its RFC 7638 thumbprint', async () => {
    const publicKey = await memoryTokenSigner().publicKey();
    const jwk = publicKey.export({ format: 'jwk' }) as JWK;
    expect(keyThumbprint(publicKey)).toBe(await calculateJwkThumbprint(jwk));
  });

  it('lets no wrong signature out', async () => {
    const signer = memoryTokenSigner();
    const faulty = { ...signer, sign: async () => Buffer.alloc(64, 1) };
    await expect(signAccessToken(faulty, NAMES, CONTENT)).rejects.toMatchObject({
      code: 'KEY_UNAVAILABLE',
    });
    await expect(signAccessToken(signer, NAMES, CONTENT)).resolves.toMatch(
      /^[\w-]+\.[\w-]+\.[\w-]{86}$/,
    );
  });
});
