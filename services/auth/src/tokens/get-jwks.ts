import type { GetJwksResponse } from '@gigvault/proto/auth/v1/token';
import type { Clock } from '@gigvault/time/clock';
import type { ApiKeyStore } from '../ports/api-key-store.ts';
import type { TokenSigner } from '../ports/token-signer.ts';
import { signingJwk, type TokenNames } from './access-token.ts';

/** What answering the key set needs. */
export interface JwksDeps {
  readonly apiKeys: Pick<ApiKeyStore, 'revokedSince'>;
  readonly signer: TokenSigner;
  readonly clock: Clock;
  readonly names: TokenNames;
  /** Milliseconds. */
  readonly accessTokenLifetime: number;
}

/** The leeway of who verifies (libs/access), and as much for clocks that differ. */
const LEEWAY = 120_000;

/**
 * The keys and names that verify access tokens, and the API keys whose tokens are good no more although they have not expired.
 * Throws what the signer throws while its key cannot be had.
 */
export async function getJwks(deps: JwksDeps): Promise<GetJwksResponse> {
  const { apiKeys, signer, clock, names, accessTokenLifetime } = deps;
  const keys = [signingJwk(await signer.publicKey())];
  const revoked = await apiKeys.revokedSince(clock.now() - accessTokenLifetime - LEEWAY);
  return {
    jwks: JSON.stringify({ keys }),
    issuer: names.issuer,
    audience: names.audience,
    revokedKeyIds: [...revoked],
  };
}
