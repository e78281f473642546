import { hash } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { type PublicKeyInfo, readPublicKey } from '@gigvault/x509/public-key';
import { LRUCache } from 'lru-cache';
import { type KeyHandle, parseKeyHandle, type SignatureFormat } from '../key-store.ts';
import { formattedSignature, kmsAlgorithm } from './kms-algorithm.ts';
import type { KmsClient } from './kms-client.ts';
import { isPendingDeletion } from './kms-failure.ts';
import type { KmsKeys } from './kms-keys.ts';

/** What is signed, and how. */
interface Asked {
  readonly keyType: string;
  readonly format: SignatureFormat;
  /** Only whether it would be done. */
  readonly dryRun?: true;
}

/** Signs digests in KMS, and knows the keys that it has signed with. */
export interface KmsSigner {
  /** Errors: INVALID_ARGUMENT (handle), KEY_NOT_FOUND, KEY_UNAVAILABLE. */
  find(handle: KeyHandle): Promise<PublicKeyInfo>;
  sign(handle: KeyHandle, digest: Buffer, asked: Asked): Promise<Buffer>;
  /** Errors: INVALID_ARGUMENT for what is no handle. */
  forget(handle: KeyHandle): void;
  /** Whether it would sign now, with the key that it signed with last; else whether it answers at all. Errors: KEY_UNAVAILABLE. */
  look(): Promise<void>;
}

/** Public keys held in memory at most. */
const CACHED_KEYS = 1_000;

/** See KmsSigner. */
export function kmsSigner(client: KmsClient, keys: Pick<KmsKeys, 'publicKey' | 'list'>): KmsSigner {
  const known = new LRUCache<KeyHandle, PublicKeyInfo>({ max: CACHED_KEYS });
  let lastUsed: KeyHandle | undefined;

  async function sign(handle: KeyHandle, digest: Buffer, asked: Asked): Promise<Buffer> {
    const algorithm = kmsAlgorithm(asked.keyType);
    const input = {
      KeyId: handle,
      Message: digest,
      MessageType: 'DIGEST',
      SigningAlgorithm: algorithm.signing,
      ...(asked.dryRun ? { DryRun: true } : {}),
    } as const;
    const { Signature } = await client.ask('Sign', (kms, sender, abortSignal) =>
      sender.send(new kms.SignCommand(input), { abortSignal }),
    );
    if (Signature === undefined)
      throw new GigvaultError('KEY_UNAVAILABLE', 'AWS KMS answered without a signature.');
    lastUsed = handle;
    return formattedSignature(algorithm, Signature, asked.format);
  }

  return {
    sign,
    async find(handle) {
      const found = known.get(parseKeyHandle(handle));
      if (found !== undefined) return found;
      const key = readPublicKey(await keys.publicKey(handle));
      known.set(handle, key);
      return key;
    },
    forget(handle) {
      known.delete(parseKeyHandle(handle));
      if (lastUsed === handle) lastUsed = undefined;
    },
    async look() {
      const key = lastUsed === undefined ? undefined : known.get(lastUsed);
      if (lastUsed === undefined || key === undefined) return keys.list();
      const { keyType } = key;
      const digest = hash(kmsAlgorithm(keyType).hash, 'GigVault', 'buffer');
      try {
        await sign(lastUsed, digest, { keyType, format: 'der', dryRun: true });
      } catch (error) {
        const { code, cause } = error as GigvaultError;
        if ((cause as Error | undefined)?.name === 'DryRunOperationException') return;
        if (code !== 'KEY_NOT_FOUND' && !isPendingDeletion(error)) throw error;
        lastUsed = undefined;
        await keys.list();
      }
    },
  };
}
