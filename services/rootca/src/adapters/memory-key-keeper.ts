import { protectUnderSecret, unlockWithSecret } from '../ceremony/protect-root-key.ts';
import { ROOT_FILES } from '../ceremony/root-files.ts';
import { newMemoryRootKey, openMemoryRootKey } from '../ceremony/root-key.ts';
import type { KeyKeeper } from '../ports/key-keeper.ts';

/** The key in this process's memory, and in a file encrypted under the secret. */
export function memoryKeyKeeper(): KeyKeeper {
  return {
    file: { name: ROOT_FILES.key, mode: 0o600 },
    place: 'in a file, encrypted under what the shares are of',
    async make(_plan, secret, keep) {
      const { privateKey } = newMemoryRootKey();
      await keep(protectUnderSecret(privateKey, secret));
      return openMemoryRootKey(privateKey);
    },
    // It never opened with anything else.
    lock: async () => undefined,
    open: async (content, secret) => openMemoryRootKey(unlockWithSecret(content, secret)),
    // Whoever removes the file removes the key.
    destroy: async () => undefined,
  };
}
