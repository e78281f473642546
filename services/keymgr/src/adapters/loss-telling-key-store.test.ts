import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { memoryKeyStore } from '@gigvault/keystore/memory-key-store';
import { expect, it } from '@jest/globals';
import { lossTellingKeyStore } from './loss-telling-key-store.ts';

it('covers: T11. a key that is made while the token is changed for another one is given to nobody', async () => {
  const store = memoryKeyStore();
  let isRight = true;
  const other = new GigvaultError('KEY_UNAVAILABLE', 'another token');
  const require = async () => {
    if (!isRight) throw other;
  };
  const swapped = async <T>(made: Promise<T>) => {
    isRight = false;
    return made;
  };
  const told = lossTellingKeyStore(
    {
      ...store,
      generate: (...args) => swapped(store.generate(...args)),
      secretKeys: {
        ...store.secretKeys,
        generate: (...args) => swapped(store.secretKeys.generate(...args)),
      },
    },
    { require, look: require, whyNotFound: async (_, cause) => cause },
  );
  for (const generate of [
    () => told.generate('ec-p256'),
    () => told.secretKeys!.generate('aes-256'),
  ]) {
    isRight = true;
    await expect(generate()).rejects.toBe(other);
  }
});
