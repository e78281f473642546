import { randomUUID } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import { isUsable } from '../api-keys/usable-key.ts';
import { parseApiKey, sameHash } from '../credentials/credential.ts';
import type { FailureLimiter } from '../credentials/failure-limiter.ts';
import type { FailureLog } from '../credentials/failure-log.ts';
import type { ApiKeyStore, KeyOfUser } from '../ports/api-key-store.ts';
import type { TokenSigner } from '../ports/token-signer.ts';
import { signAccessToken, type TokenNames } from './access-token.ts';

/** What exchanging a key needs. */
export interface ExchangeDeps {
  readonly apiKeys: ApiKeyStore;
  readonly signer: TokenSigner;
  readonly limiter: FailureLimiter;
  readonly failures: FailureLog;
  readonly clock: Clock;
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
  const { key, user } = await deps.limiter.attempt(request.clientIp, () =>
    verifiedKey(deps, request),
  );
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
  if (!used) throw refused();
  const content = { user, keyId: key.keyId, tokenId, issuedAt, expiresAt };
  const accessToken = await signAccessToken(deps.signer, deps.names, content);
  return {
    accessToken,
    tokenType: 'Bearer',
    expiresIn: Math.floor((expiresAt - issuedAt) / 1000),
  };
}

async function verifiedKey(deps: ExchangeDeps, request: ExchangeRequest): Promise<KeyOfUser> {
  const claimed = parseApiKey(request.clientSecret);
  const found = claimed && (await deps.apiKeys.find(claimed.keyId));
  if (
    claimed &&
    found &&
    sameHash(found.key.secretHash, claimed.hash) &&
    isUsable(found, deps.clock.now())
  )
    return found;
  deps.failures.record('api-key', request.clientIp, found?.key.keyId);
  throw refused();
}

function refused(): GigvaultError {
  return new GigvaultError('UNAUTHENTICATED', 'The API key is not valid.');
}
