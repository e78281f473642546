import { randomUUID } from 'node:crypto';
import { awsKmsKeyStore } from '@gigvault/keystore/aws-kms/aws-kms-key-store';
import { type KeyHandle, randomHandle } from '@gigvault/keystore/key-store';
import { startMoto } from '@gigvault/testkit/moto-server';
import { systemClock } from '@gigvault/time/clock';
import { expect, it } from '@jest/globals';
import { backendIdentity } from '../src/adapters/backend-identity.ts';
import { lossTellingKeyStore } from '../src/adapters/loss-telling-key-store.ts';

it('a key whose deletion is scheduled in AWS KMS is not lost, one that is not there is — covers: T11', async () => {
  const { endpoint, region, stop } = await startMoto();
  const credentials = async () => ({ accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'not checked' });
  const connection = { endpoint, region, credentials };
  const store = awsKmsKeyStore({ connection, instance: randomUUID(), deadline: 30_000 });
  const [kept, pending] = [await store.generate('ec-p256'), await store.generate('ec-p256')];
  const keys = [kept, pending].map((handle, i) => ({ keyId: `${i}`, handle, ofService: false }));
  const told = lossTellingKeyStore(
    store,
    await backendIdentity(store, async () => keys, systemClock),
  );
  const sign = (handle: KeyHandle) => told.sign(handle, Buffer.from('data'), { format: 'der' });
  await store.remove(pending);
  await expect(sign(pending)).rejects.toMatchObject({
    code: 'KEY_UNAVAILABLE',
    message: expect.stringContaining('Cancel it there'),
  });
  await sign(kept);
  await expect(sign(randomHandle())).rejects.toMatchObject({ code: 'KEY_LOST' });
  await store.close();
  await stop();
}, 60_000);
