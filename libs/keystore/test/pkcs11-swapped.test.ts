import { eventually } from '@gigvault/testkit/eventually';
import { replaceSoftHsmToken, softHsmToken } from '@gigvault/testkit/softhsm-token';
import { expect, it } from '@jest/globals';
import { pkcs11KeyStore } from '../src/pkcs11/pkcs11-key-store.ts';
import { parsePkcs11Uri } from '../src/pkcs11/pkcs11-uri.ts';

it('covers: T11. another token of the same name and PIN: its keys are told, no memory of the first one’s, and back again by itself', async () => {
  const token = await softHsmToken({ label: 'pki' });
  const store = pkcs11KeyStore({
    uri: parsePkcs11Uri(token.uri),
    environment: token.environment,
  });
  try {
    const handle = await store.generate('ec-p256');
    const publicKey = await store.publicKey(handle);
    const { serialNumber } = await store.token();

    const putBack = await replaceSoftHsmToken(token, 'pki');
    await eventually(async () => expect(await store.missing([handle])).toEqual([handle]));
    expect((await store.token()).serialNumber).not.toBe(serialNumber);
    await store.check();
    await expect(store.publicKey(handle)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });

    await putBack();
    await eventually(async () => expect(await store.missing([handle])).toEqual([]));
    expect(await store.publicKey(handle)).toEqual(publicKey);
  } finally {
    await store.close();
    await token.remove();
  }
}, 60_000);
