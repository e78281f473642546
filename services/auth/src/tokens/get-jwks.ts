import type { GetJwksResponse } from '@gigvault/proto/auth/v1/token';
import type { TokenSigner } from '../ports/token-signer.ts';
import { signingJwk, type TokenNames } from './access-token.ts';

/** What answering the key set needs. */
export interface JwksDeps {
  readonly signer: TokenSigner;
  readonly names: TokenNames;
}

/** The keys and names that verify access tokens. Throws what the signer throws while its key cannot be had. */
export async function getJwks({ signer, names }: JwksDeps): Promise<GetJwksResponse> {
  const keys = [signingJwk(await signer.publicKey())];
  return { jwks: JSON.stringify({ keys }), issuer: names.issuer, audience: names.audience };
}
