import { softHsmToken } from '@gigvault/testkit/softhsm-token';
import { swtpmToken } from '@gigvault/testkit/swtpm-token';
import type { TestToken } from '@gigvault/testkit/test-token';
import type { KeyType } from '@gigvault/x509/public-key';
import { describeKeyStore } from '../key-store.contract.ts';
import { SECRET_KEY_TYPES, type SecretKeyType } from '../key-types.ts';
import { pkcs11KeyStore } from './pkcs11-key-store.ts';
import { parsePkcs11Uri } from './pkcs11-uri.ts';

describeToken(
  'SoftHSM 2',
  softHsmToken,
  ['ec-p256', 'ec-p384', 'ec-p521', 'rsa-2048', 'rsa-3072', 'ed25519'],
  SECRET_KEY_TYPES,
);
describeToken('a TPM 2.0', swtpmToken, ['ec-p256', 'ec-p384', 'rsa-2048']);

function describeToken(
  name: string,
  make: () => Promise<TestToken>,
  keyTypes: readonly KeyType[],
  secretKeyTypes: readonly SecretKeyType[] = [],
): void {
  describeKeyStore(`${name} through PKCS #11`, async () => {
    const token = await make();
    const { uri, environment } = token;
    const store = pkcs11KeyStore({ uri: parsePkcs11Uri(uri), environment });
    return {
      store,
      keyTypes,
      secretKeyTypes,
      async close() {
        await store.close();
        await token.remove();
      },
    };
  });
}
