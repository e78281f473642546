import { generateKeyPairSync } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { GenerateKeyRequest, Key, KeyService } from '@gigvault/proto/keymgr/v1/key';
import type { SignRequest } from '@gigvault/proto/keymgr/v1/signing';
import type { Client } from '@gigvault/rpc/call';
import { describe, expect, it } from '@jest/globals';
import { rpcTokenSigner } from './rpc-token-signer.ts';

const spki = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
  format: 'der',
  type: 'spki',
});
const KEY = { keyId: 'auth-token', subjectPublicKeyInfo: spki } as unknown as Key;

function setUp() {
  const state = {
    exists: false,
    down: false,
    calls: 0,
    generated: [] as GenerateKeyRequest[],
    signed: [] as SignRequest[],
  };
  const keys = {
    getKey: async () => {
      state.calls += 1;
      if (state.down) throw new GigvaultError('UNAVAILABLE', 'down');
      if (!state.exists) throw new GigvaultError('KEY_NOT_FOUND', 'no');
      return KEY;
    },
    generateKey: async (request: GenerateKeyRequest) => {
      if (state.exists) throw new GigvaultError('ALREADY_EXISTS', 'yes');
      state.generated.push(request);
      state.exists = true;
      return KEY;
    },
  } as unknown as Client<KeyService>;
  const sign = async (request: SignRequest) => {
    state.signed.push(request);
    return { signature: Buffer.alloc(64) };
  };
  return {
    state,
    signer: rpcTokenSigner({ keys, signing: { sign } as never, keyId: 'auth-token' }),
  };
}

describe('the signer over keymgr', () => {
  it('generates the key once, and then remembers it', async () => {
    const { state, signer } = setUp();
    await Promise.all([signer.publicKey(), signer.publicKey()]);
    await signer.publicKey();
    const wanted = {
      keyId: 'auth-token',
      keyType: 'ec-p256',
      purposes: ['jwtSign'],
      actor: 'service:auth',
    };
    expect(state.generated).toEqual([wanted]);
    expect(state.calls).toBe(1);
  });

  it('uses the key that another instance made', async () => {
    const { state, signer } = setUp();
    state.exists = true;
    expect((await signer.publicKey()).asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
    expect(state.generated).toEqual([]);
  });

  it('tries again after an outage', async () => {
    const { state, signer } = setUp();
    state.down = true;
    await expect(signer.publicKey()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    state.down = false;
    await expect(signer.publicKey()).resolves.toBeDefined();
  });

  it('signs for the purpose jwtSign and asks for no record of each', async () => {
    const { state, signer } = setUp();
    await signer.sign(Buffer.from('a.b'));
    expect(state.signed).toEqual([
      { keyId: 'auth-token', purpose: 'jwtSign', intentId: '', tbs: Buffer.from('a.b') },
    ]);
  });
});
