import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Key, KeyService } from '@gigvault/proto/keymgr/v1/key';
import type { KeySigningService } from '@gigvault/proto/keymgr/v1/signing';
import type { Client } from '@gigvault/rpc/call';
import type { CheckpointSigner } from '../ports/checkpoints.ts';

/** The audit key's id in keymgr. */
export const CHECKPOINT_KEY = 'audit-checkpoint';

const PURPOSE = 'auditSign';

/** Signs by keymgr's key `audit-checkpoint`, which is generated when it is first needed. */
export function rpcCheckpointSigner(
  keys: Client<KeyService>,
  signing: Client<KeySigningService>,
): CheckpointSigner {
  let publicKey: Promise<Buffer> | undefined;
  return {
    publicKey() {
      publicKey ??= findOrGenerate(keys).then(
        (key) => key.subjectPublicKeyInfo,
        (error) => {
          publicKey = undefined;
          throw error;
        },
      );
      return publicKey;
    },
    async sign(text) {
      const request = { keyId: CHECKPOINT_KEY, purpose: PURPOSE, intentId: '', tbs: text };
      return (await signing.sign(request)).signature;
    },
  };
}

async function findOrGenerate(keys: Client<KeyService>): Promise<Key> {
  try {
    return await keys.getKey({ keyId: CHECKPOINT_KEY });
  } catch (error) {
    if (!hasCode(error, 'KEY_NOT_FOUND')) throw error;
  }
  try {
    const purposes = [PURPOSE];
    return await keys.generateKey({
      keyId: CHECKPOINT_KEY,
      keyType: 'ec-p256',
      purposes,
      actor: 'service:audit',
    });
  } catch (error) {
    // Another instance was first.
    if (!hasCode(error, 'ALREADY_EXISTS')) throw error;
    return keys.getKey({ keyId: CHECKPOINT_KEY });
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof GigvaultError && error.code === code;
}
