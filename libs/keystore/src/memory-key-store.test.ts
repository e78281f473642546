import { SOFTWARE_KEY_TYPES } from './key-algorithm.ts';
import { describeKeyStore } from './key-store.contract.ts';
import { SECRET_KEY_TYPES } from './key-types.ts';
import { memoryKeyStore } from './memory-key-store.ts';

describeKeyStore('memory', async () => ({
  store: memoryKeyStore(),
  keyTypes: SOFTWARE_KEY_TYPES.filter((keyType) => keyType !== 'rsa-4096'),
  secretKeyTypes: SECRET_KEY_TYPES,
  decrypts: true,
  close: async () => undefined,
}));
