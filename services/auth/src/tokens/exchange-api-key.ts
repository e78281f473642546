import { randomUUID } from 'node:crypto';
import { durableStep } from '@gigvault/telemetry/durable-step';
import { refusedKey, type VerifyDeps, verifyApiKey } from '../api-keys/verify-api-key.ts';
import type { TokenSigner } from '../ports/token-signer.ts';
import { signAccessToken, type TokenNames } from './access-token.ts';

/** What exchanging a key needs. */
export interface ExchangeDeps extends VerifyDeps {
  readonly signer: TokenSigner;
  readonly names: TokenNames;
  /** Milliseconds. */
  readonly accessTokenLifetime: number;
}

/** An API key as a client sends it. */
export interface ExchangeRequest {
  readonly clientSecret: string;
  readonly clientIp: string;
}

/** RFC 6749 §5.1. */
export interface ExchangedToken {
  readonly accessToken: string;
  readonly tokenType: 'Bearer';
  /** Seconds. */
  readonly expiresIn: number;
}

/**
 * Exchanges an API key for an access token, which ends no later than the key. The event is durable before the token is signed.
 * Throws UNAUTHENTICATED, the same for every reason, and RATE_LIMITED after too many failures of one address.
 */
export async function exchangeApiKey(
  deps: ExchangeDeps,
  request: ExchangeRequest,
): Promise<ExchangedToken> {
  const { key, user } = await verifyApiKey(deps, request.clientSecret, request.clientIp);
  const tokenId = randomUUID();
  const issuedAt = deps.clock.now();
  const expiresAt = Math.min(
    issuedAt + deps.accessTokenLifetime,
    key.expiresAt ?? Number.POSITIVE_INFINITY,
  );
  const issued = {
    type: 'token.issued',
    actor: `user:${user.userId}`,
    subject: tokenId,
    data: { keyId: key.keyId, roles: user.roles, expiresAt, clientIp: request.clientIp },
  } as const;
  const used = await durableStep('auth.token', () =>
    deps.apiKeys.use(key.keyId, issuedAt, [issued]),
  );
  if (!used) throw refusedKey();
  const content = { user, keyId: key.keyId, tokenId, issuedAt, expiresAt };
  const accessToken = await signAccessToken(deps.signer, deps.names, content);
  return {
    accessToken,
    tokenType: 'Bearer',
    expiresIn: Math.floor((expiresAt - issuedAt) / 1000),
  };
}
