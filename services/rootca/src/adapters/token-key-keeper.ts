import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { parseKeyHandle } from '@gigvault/keystore/key-store';
import type { Pkcs11KeyStore } from '@gigvault/keystore/pkcs11/pkcs11-key-store';
import { ROOT_FILES } from '../ceremony/root-files.ts';
import type { KeyKeeper } from '../ports/key-keeper.ts';
import {
  findTokenRootKey,
  newTokenRootKey,
  openToken,
  readTokenRecord,
  requireLongPin,
  type TokenRecord,
  tokenPin,
  type WhichToken,
  writeTokenRecord,
} from './token-root-key.ts';

/**
 * The key in a PKCS #11 token, which it never leaves; lock changes the token's PIN to one that is derived from the secret, and that nobody knows.
 * A rehearsal leaves the PIN as it is. What is made in one token is neither locked nor destroyed in another, whatever PIN and label that has.
 */
export function tokenKeyKeeper(uri: string, isRehearsal: boolean): KeyKeeper {
  return {
    file: { name: ROOT_FILES.token, mode: 0o644 },
    place: 'in the token, which it never leaves',
    make: (plan, _secret, keep) =>
      newTokenRootKey({
        uri,
        plan,
        note: (record) => keep(writeTokenRecord(record)),
        requireToken: requireLongPin,
      }),
    async lock(content, secret) {
      if (isRehearsal) return;
      const record = readTokenRecord(content);
      const pin = tokenPin(secret);
      const isHere = await withKey(uri, record, {}, (store) => store.changePin(pin)).catch(
        async (error: unknown) => {
          // A process may have died right after it changed the PIN. One wrong attempt does not lock a token.
          if (!(await opensWith(uri, record, pin))) throw error;
          return true;
        },
      );
      if (!isHere) {
        throw new GigvaultError(
          'KEY_UNAVAILABLE',
          'The root key of this ceremony is not in this token, whose PIN stays as it is. Put the right one in.',
        );
      }
    },
    async open(content, secret) {
      const record = readTokenRecord(content);
      const pin = isRehearsal ? {} : { pin: tokenPin(secret) };
      return findTokenRootKey(record, { hsm: uri, serial: record.serial, ...pin });
    },
    async destroy(content) {
      const { handle, serial } = readTokenRecord(content);
      const store = openToken(uri, { serial });
      try {
        await store.remove(parseKeyHandle(handle));
      } finally {
        await store.close();
      }
    },
  };
}

/** Runs `use` with the token of the record, if the key is in it. False: it is not, and nothing was done. Errors: KEY_UNAVAILABLE, those of `use`. */
async function withKey(
  uri: string,
  { handle, serial }: TokenRecord,
  access: WhichToken,
  use: (store: Pkcs11KeyStore) => Promise<void>,
): Promise<boolean> {
  const store = openToken(uri, { ...access, serial });
  try {
    await store.publicKey(parseKeyHandle(handle));
    await use(store);
    return true;
  } catch (error) {
    if (error instanceof GigvaultError && error.code === 'KEY_NOT_FOUND') return false;
    throw error;
  } finally {
    await store.close();
  }
}

async function opensWith(uri: string, record: TokenRecord, pin: string): Promise<boolean> {
  try {
    return await withKey(uri, record, { pin }, (store) => store.check());
  } catch {
    // Why is what the first attempt said.
    return false;
  }
}
