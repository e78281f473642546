import { generateKeyPairSync, sign } from 'node:crypto';
import type { TokenSigner } from '../ports/token-signer.ts';

/** Signs with a key pair of its own, for tests. */
export function memoryTokenSigner(): TokenSigner {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    publicKey: async () => publicKey,
    sign: async (signingInput) =>
      sign('sha256', signingInput, { key: privateKey, dsaEncoding: 'ieee-p1363' }),
  };
}
