import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Clock } from '@gigvault/time/clock';
import { parseApiKey, sameHash } from '../credentials/credential.ts';
import type { FailureLimiter } from '../credentials/failure-limiter.ts';
import type { FailureLog } from '../credentials/failure-log.ts';
import type { ApiKeyStore, KeyOfUser } from '../ports/api-key-store.ts';
import { isUsable } from './usable-key.ts';

/** What verifying a key needs. */
export interface VerifyDeps {
  readonly apiKeys: ApiKeyStore;
  readonly limiter: FailureLimiter;
  readonly failures: FailureLog;
  readonly clock: Clock;
}

/**
 * The key that a client sent, and whose it is. Throws UNAUTHENTICATED, the same for every reason, and RATE_LIMITED after too many failures of one
 * address, by whichever door they came.
 */
export function verifyApiKey(
  deps: VerifyDeps,
  apiKey: string,
  clientIp: string,
): Promise<KeyOfUser> {
  return deps.limiter.attempt(clientIp, async () => {
    const claimed = parseApiKey(apiKey);
    const found = claimed && (await deps.apiKeys.find(claimed.keyId));
    if (
      claimed &&
      found &&
      sameHash(found.key.secretHash, claimed.hash) &&
      isUsable(found, deps.clock.now())
    )
      return found;
    deps.failures.record('api-key', clientIp, found?.key.keyId);
    throw refusedKey();
  });
}

/** UNAUTHENTICATED. */
export function refusedKey(): GigvaultError {
  return new GigvaultError('UNAUTHENTICATED', 'The API key is not valid.', {
    details: { reason: 'invalid' },
  });
}
