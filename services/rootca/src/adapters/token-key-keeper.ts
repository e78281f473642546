import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { parseKeyHandle } from '@gigvault/keystore/key-store';
import type { Pkcs11KeyStore } from '@gigvault/keystore/pkcs11/pkcs11-key-store';
import { ROOT_FILES } from '../commands/root-directory.ts';
import {
  findTokenRootKey,
  newTokenRootKey,
  openToken,
  readTokenRecord,
  type TokenRecord,
  tokenPin,
  type WhichToken,
  writeTokenRecord,
} from '../commands/token-root-key.ts';
import type { KeyKeeper } from '../ports/key-keeper.ts';

/**
 * The key in a PKCS #11 token, which it never leaves; lock changes the token's PIN to one that is derived from the secret, and that nobody knows.
 * A rehearsal leaves the PIN as it is. What is made in one token is neither locked nor destroyed in another, whatever PIN and label that has.
 */
export function tokenKeyKeeper(uri: string, isRehearsal: boolean): KeyKeeper {
  return {
    file: { name: ROOT_FILES.token, mode: 0o644 },
    place: 'in the token, which it never leaves',
    async make(plan) {
      const key = await newTokenRootKey(uri, plan);
      const { handle, serial } = key;
      return { key, content: writeTokenRecord({ uri, handle, serial }) };
    },
    async lock(content, secret) {
      if (isRehearsal) return;
      const record = readTokenRecord(content);
      const pin = tokenPin(secret);
      try {
        await withKeysToken(uri, record, {}, (store) => store.changePin(pin));
      } catch (error) {
        // A process may have died right after it changed the PIN. One wrong attempt does not lock a token.
        if (!(await opensWith(uri, record, pin))) throw error;
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

/** Runs `use` with the token of the record, and only if the key is in it. Errors: KEY_UNAVAILABLE. */
async function withKeysToken(
  uri: string,
  { handle, serial }: TokenRecord,
  access: WhichToken,
  use: (store: Pkcs11KeyStore) => Promise<void>,
): Promise<void> {
  const store = openToken(uri, { ...access, serial });
  try {
    await store.publicKey(parseKeyHandle(handle)).catch((cause: unknown) => {
      if (!(cause instanceof GigvaultError) || cause.code !== 'KEY_NOT_FOUND') throw cause;
      throw new GigvaultError(
        'KEY_UNAVAILABLE',
        'The root key of this ceremony is not in this token: its PIN stays as it is. Put the right one in.',
        { cause },
      );
    });
    await use(store);
  } finally {
    await store.close();
  }
}

async function opensWith(uri: string, record: TokenRecord, pin: string): Promise<boolean> {
  try {
    await withKeysToken(uri, record, { pin }, (store) => store.check());
    return true;
  } catch {
    // Why is what the first attempt said.
    return false;
  }
}
