import { randomBytes } from 'node:crypto';
import type { KeyStore } from '@gigvault/keystore/key-store';
import { givenMasterKeys, masterKeyOf } from '@gigvault/keystore/master-key';
import { pkcs8KeyStore } from '@gigvault/keystore/pkcs8-key-store';
import { type Pkcs11KeyStore, pkcs11KeyStore } from '@gigvault/keystore/pkcs11/pkcs11-key-store';
import { parsePkcs11Uri } from '@gigvault/keystore/pkcs11/pkcs11-uri';

/** Encrypted files, under a master key of their own. */
export function openFiles(directory: string): KeyStore {
  return pkcs8KeyStore({
    directory,
    masterKeys: givenMasterKeys(masterKeyOf(randomBytes(32).toString('base64'), 'here')),
  });
}

/** A token as keymgr opens it: whoever asked for a signature has it verified. */
export function openTokenStore(uri: string): Pkcs11KeyStore {
  return pkcs11KeyStore({ uri: parsePkcs11Uri(uri), verify: false });
}

/** An operation that has one P-256 signature made, of `message`. */
export async function signingWith(store: KeyStore, message: Buffer): Promise<() => Promise<void>> {
  const handle = await store.generate('ec-p256');
  return async () => void (await store.sign(handle, message, { format: 'der' }));
}
