import { fileSecret } from '@gigvault/config/secret';
import { softHsmToken } from '@gigvault/testkit/softhsm-token';
import { swtpmToken } from '@gigvault/testkit/swtpm-token';
import type { TestToken } from '@gigvault/testkit/test-token';
import type { KeyType } from '@gigvault/x509/public-key';
import { expect, it } from '@jest/globals';
import { describeKeyStore } from '../key-store.contract.ts';
import { SECRET_KEY_TYPES, type SecretKeyType } from '../key-types.ts';
import { tpm2KeyStore } from '../tpm2-key-store.ts';
import { pkcs11KeyStore } from './pkcs11-key-store.ts';
import { parsePkcs11Uri } from './pkcs11-uri.ts';

describeToken(
  'SoftHSM 2',
  softHsmToken,
  ['ec-p256', 'ec-p384', 'ec-p521', 'rsa-2048', 'rsa-3072', 'ed25519'],
  SECRET_KEY_TYPES,
);
describeToken(
  'a TPM 2.0',
  swtpmToken,
  ['ec-p256', 'ec-p384', 'rsa-2048'],
  [],
  // covers: K142
  ({ folder, pinFile, environment }) => {
    const { TPM2_PKCS11_TCTI: tcti = '', ...others } = environment;
    const pinSource = fileSecret(pinFile);
    const place = { token: 'gigvault', tcti, directory: folder };
    return tpm2KeyStore({ ...place, pinSource, environment: others });
  },
);

it('a TPM’s library is not believed that it has P-521', async () => {
  const token = await swtpmToken();
  const store = pkcs11KeyStore({ uri: parsePkcs11Uri(token.uri), environment: token.environment });
  try {
    expect((await store.facts()).keyTypes).not.toContain('ec-p521');
    await expect(store.generate('ec-p521')).rejects.toMatchObject({
      code: 'OPERATION_NOT_SUPPORTED',
    });
  } finally {
    await store.close();
    await token.remove();
  }
});

function describeToken(
  name: string,
  make: () => Promise<TestToken>,
  keyTypes: readonly KeyType[],
  secretKeyTypes: readonly SecretKeyType[],
  open = ({ uri, environment }: TestToken) =>
    pkcs11KeyStore({ uri: parsePkcs11Uri(uri), environment }),
): void {
  describeKeyStore(`${name} through PKCS #11`, async () => {
    const token = await make();
    const store = open(token);
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
