import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { type PublicKeyInfo, publicKeyInfoOf } from '@gigvault/x509/public-key';
import { signTbs } from '@gigvault/x509/signature';
import type { OpenRootKey } from '../ports/key-keeper.ts';

/** The root's key, wherever it lives. */
export interface RootKey {
  readonly publicKey: PublicKeyInfo;
  /** By signatureAlgorithm of the key's type. Not checked: see signAsRoot. */
  sign(tbs: Buffer): Promise<Buffer>;
}

/** A root key in this process's memory. */
export interface MemoryRootKey extends RootKey {
  readonly privateKey: KeyObject;
}

/** The key of an encrypted file, unlocked. */
export function memoryRootKey(privateKey: KeyObject): MemoryRootKey {
  return {
    privateKey,
    publicKey: publicKeyInfoOf(privateKey),
    sign: async (tbs) => signTbs(privateKey, tbs),
  };
}

/** A new P-384 key, in memory only. */
export function newMemoryRootKey(): MemoryRootKey {
  return memoryRootKey(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey);
}

/** The key of an encrypted file, as keys in tokens are: with nothing to close. */
export function openMemoryRootKey(privateKey: KeyObject): OpenRootKey {
  return { ...memoryRootKey(privateKey), close: async () => undefined };
}
