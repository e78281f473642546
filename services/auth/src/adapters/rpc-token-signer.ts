import { createPublicKey, type KeyObject } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Key, KeyService } from '@gigvault/proto/keymgr/v1/key';
import type { KeySigningService } from '@gigvault/proto/keymgr/v1/signing';
import type { Client } from '@gigvault/rpc/call';
import type { TokenSigner } from '../ports/token-signer.ts';

/** Where the signing key lives. */
export interface RpcTokenSignerOptions {
  readonly keys: Client<KeyService>;
  readonly signing: Client<KeySigningService>;
  readonly keyId: string;
}

const PURPOSE = 'jwtSign';

/** Signs with a key of keymgr, which is generated when it is not there. A failure is not remembered. */
export function rpcTokenSigner({ keys, signing, keyId }: RpcTokenSignerOptions): TokenSigner {
  let publicKey: Promise<KeyObject> | undefined;

  async function load(): Promise<KeyObject> {
    const key = await ensureKey(keys, keyId);
    return createPublicKey({
      key: Buffer.from(key.subjectPublicKeyInfo),
      format: 'der',
      type: 'spki',
    });
  }

  return {
    publicKey() {
      publicKey ??= load().catch((error: unknown) => {
        publicKey = undefined;
        throw error;
      });
      return publicKey;
    },
    async sign(signingInput) {
      const { signature } = await signing.sign({
        keyId,
        purpose: PURPOSE,
        // None: the key's uses are counted. Each token has an event of its own, `token.issued`.
        intentId: '',
        tbs: signingInput,
      });
      return Buffer.from(signature);
    },
  };
}

async function ensureKey(keys: Client<KeyService>, keyId: string): Promise<Key> {
  try {
    return await keys.getKey({ keyId });
  } catch (error) {
    if (!isCode(error, 'KEY_NOT_FOUND')) throw error;
  }
  try {
    return await keys.generateKey({
      keyId,
      keyType: 'ec-p256',
      purposes: [PURPOSE],
      actor: 'service:auth',
    });
  } catch (error) {
    if (!isCode(error, 'ALREADY_EXISTS')) throw error;
    return keys.getKey({ keyId });
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof GigvaultError && error.code === code;
}
