import type { Principal } from '@gigvault/access/permissions';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import { newApiKeyCredential } from '../credentials/credential.ts';
import type { ApiKey, ApiKeyStore } from '../ports/api-key-store.ts';

/** What making a key needs. */
export interface ApiKeyDeps {
  readonly apiKeys: ApiKeyStore;
  readonly clock: Clock;
}

/** The user id in a principal's `user:<id>`. */
export function userIdOf(caller: Principal): string {
  return caller.actor.replace(/^user:/, '');
}

/**
 * Makes an API key of the caller, with the caller's own roles at each use. `expiresIn` in seconds; without it, it lives until
 * revoked. With a `keyId` there is one key at most, whatever is repeated: ALREADY_EXISTS.
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
  await durableStep('auth.api-key', () =>
    deps.apiKeys.create({ ...key, secretHash: credential.hash }, [event]),
  );
  return { key, secret: credential.text };
}
