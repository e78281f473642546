import { softHsmToken } from '@gigvault/testkit/pkcs11-token';
import { describeKeyStore } from '../key-store.contract.ts';
import { pkcs11KeyStore } from './pkcs11-key-store.ts';
import { parsePkcs11Uri } from './pkcs11-uri.ts';

describeKeyStore('SoftHSM 2 through PKCS #11', async () => {
  const { uri, environment, remove } = await softHsmToken();
  const store = pkcs11KeyStore({ uri: parsePkcs11Uri(uri), environment });
  return {
    store,
    keyTypes: ['ec-p256', 'ec-p384', 'ec-p521', 'rsa-2048', 'rsa-3072', 'ed25519'],
    async close() {
      await store.close();
      await remove();
    },
  };
});
