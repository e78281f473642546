import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { describeKeyStore } from '../src/key-store.contract.ts';
import { pkcs11KeyStore } from './pkcs11-key-store.ts';

const SOFTHSM = '/usr/lib/softhsm/libsofthsm2.so';

async function startSoftHsm() {
  if (!existsSync(SOFTHSM)) {
    throw new Error(`${SOFTHSM} is missing. Install it: apt-get install -y softhsm2`);
  }
  const root = await mkdtemp(join(tmpdir(), 'gigvault-softhsm-'));
  const tokens = join(root, 'tokens');
  const configuration = join(root, 'softhsm2.conf');
  await mkdir(tokens);
  await writeFile(
    configuration,
    `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`,
  );
  const store = pkcs11KeyStore({
    library: SOFTHSM,
    pin: '123456',
    soPin: '12345678',
    environment: { SOFTHSM2_CONF: configuration },
  });
  return {
    store,
    keyTypes: ['ec-p256', 'ec-p384', 'rsa-2048'] as const,
    async close() {
      await store.close();
      await rm(root, { recursive: true });
    },
  };
}

describeKeyStore('SoftHSM2 through PKCS #11', startSoftHsm);

describe('PKCS #11 driver process', () => {
  it('covers: T12. a driver that dies makes keys unavailable and leaves this process alive', async () => {
    const { store, close } = await startSoftHsm();
    const handle = await store.generate('ec-p256');
    const pending = store.sign(handle, Buffer.from('x'), { format: 'der' });
    store.driver.kill('SIGKILL');
    const outcome = await pending.catch((error: unknown) => error);
    if (!Buffer.isBuffer(outcome)) expect(outcome).toMatchObject({ code: 'KEY_UNAVAILABLE' });
    await close();
    await expect(store.publicKey(handle)).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
  });
});
