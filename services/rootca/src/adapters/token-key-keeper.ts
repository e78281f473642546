import { parseKeyHandle } from '@gigvault/keystore/key-store';
import { ROOT_FILES } from '../commands/root-directory.ts';
import {
  findTokenRootKey,
  newTokenRootKey,
  openToken,
  readTokenRecord,
  tokenPin,
  writeTokenRecord,
} from '../commands/token-root-key.ts';
import type { KeyKeeper } from '../ports/key-keeper.ts';

/**
 * The key in a PKCS #11 token, which it never leaves; lock changes the token's PIN to one that is derived from the secret, and that nobody knows.
 * A rehearsal leaves the PIN as it is.
 */
export function tokenKeyKeeper(uri: string, isRehearsal: boolean): KeyKeeper {
  return {
    file: { name: ROOT_FILES.token, mode: 0o644 },
    place: 'in the token, which it never leaves',
    async make(plan) {
      const key = await newTokenRootKey(uri, plan);
      return { key, content: writeTokenRecord({ uri, handle: key.handle }) };
    },
    async lock(_content, secret) {
      if (isRehearsal) return;
      const pin = tokenPin(secret);
      const store = openToken(uri);
      try {
        await store.check();
        await store.changePin(pin);
      } catch (error) {
        // A process may have died right after it changed the PIN. One wrong attempt does not lock a token.
        if (!(await opensWith(uri, pin))) throw error;
      } finally {
        await store.close();
      }
    },
    open: async (content, secret) =>
      findTokenRootKey(readTokenRecord(content), {
        hsm: uri,
        ...(!isRehearsal && { pin: tokenPin(secret) }),
      }),
    async destroy(content) {
      const store = openToken(uri);
      try {
        await store.remove(parseKeyHandle(readTokenRecord(content).handle));
      } finally {
        await store.close();
      }
    },
  };
}

async function opensWith(uri: string, pin: string): Promise<boolean> {
  const store = openToken(uri, pin);
  try {
    await store.check();
    return true;
  } catch {
    // Why is what the first attempt said.
    return false;
  } finally {
    await store.close();
  }
}
