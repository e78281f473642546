import { memoryKeyStore } from '@gigvault/keystore/memory-key-store';
import { expect, it } from '@jest/globals';
import { backendsOf } from './backends.ts';
import { inspectBackend } from './inspect-backends.ts';

const SIGNS = ['sign', 'verify'];
const ENCRYPTS = ['encrypt', 'decrypt'];

it.each([true, false])('says what keys of each type do; RSA decrypts: %s', async (decrypts) => {
  const { privateDecryption, ...rest } = memoryKeyStore('hsm');
  const store = decrypts ? { ...rest, privateDecryption } : rest;
  const { uses } = await inspectBackend({ backends: backendsOf([store], 'hsm') }, 'hsm');
  const byType = Object.fromEntries(uses.map((one) => [one.keyType, one.uses]));
  expect(byType).toMatchObject({
    'ec-p256': SIGNS,
    ed25519: SIGNS,
    'hmac-sha256': SIGNS,
    'aes-256': ENCRYPTS,
    'rsa-2048': decrypts ? [...SIGNS, ...ENCRYPTS] : SIGNS,
  });
});
