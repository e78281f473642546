import type { Principal } from '@gigvault/access/permissions';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import { newApiKeyCredential } from '../credentials/credential.ts';
import type { ApiKey, ApiKeyStore } from '../ports/api-key-store.ts';

/** What making a key needs. */
export interface ApiKeyDeps {
  readonly apiKeys: ApiKeyStore;
  readonly clock: Clock;
}

/** Keys of one user that work at the same time. */
export const MOST_KEYS = 100;

/** The user id in a principal's `user:<id>`. */
export function userIdOf(caller: Principal): string {
  return caller.actor.replace(/^user:/, '');
}

/**
 * Makes an API key of the caller, with the caller's own roles at each use. `expiresIn` in seconds; without it, it lives until
 * revoked. With a `keyId` there is one key at most, whatever is repeated: ALREADY_EXISTS. Throws UNAUTHENTICATED when the caller
 * was disabled meanwhile, and FORBIDDEN when the caller has MOST_KEYS.
 */
export async function createApiKey(
  deps: ApiKeyDeps,
  caller: Principal,
  request: {
    readonly label: string;
    readonly expiresIn?: number | undefined;
    readonly keyId?: string | undefined;
  },
): Promise<{ readonly key: ApiKey; readonly secret: string }> {
  const credential = newApiKeyCredential(request.keyId);
  const now = deps.clock.now();
  const key = {
    keyId: credential.keyId,
    userId: userIdOf(caller),
    label: request.label.trim(),
    createdAt: now,
    ...(request.expiresIn === undefined ? {} : { expiresAt: now + request.expiresIn * 1000 }),
  };
  const data = { userId: key.userId, label: key.label, expiresAt: key.expiresAt ?? null };
  const event = { type: 'apikey.created', actor: caller.actor, subject: key.keyId, data } as const;
  const outcome = await durableStep('auth.api-key', () =>
    deps.apiKeys.create({ ...key, secretHash: credential.hash }, MOST_KEYS, [event]),
  );
  if (outcome === 'user-inactive')
    throw new GigvaultError('UNAUTHENTICATED', 'The access token is invalid.');
  if (outcome === 'too-many')
    throw new GigvaultError(
      'FORBIDDEN',
      `You have ${MOST_KEYS} API keys that work. Revoke one that you do not use.`,
    );
  return { key, secret: credential.text };
}
