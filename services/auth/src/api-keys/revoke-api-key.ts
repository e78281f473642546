import type { Principal } from '@gigvault/access/permissions';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { durableStep } from '@gigvault/telemetry/durable-step';
import { type ApiKeyDeps, userIdOf } from './create-api-key.ts';

/**
 * Revokes a key of the caller, or of anybody for `apikeys:manage`. Does nothing the second time.
 * Throws NOT_FOUND, also for the keys of others: a key id is no secret, but nobody needs to learn which exist.
 */
export async function revokeApiKey(
  deps: ApiKeyDeps,
  caller: Principal,
  keyId: string,
): Promise<void> {
  const found = await deps.apiKeys.find(keyId);
  const may =
    found && (found.key.userId === userIdOf(caller) || caller.permissions.has('apikeys:manage'));
  if (!may) throw new GigvaultError('NOT_FOUND', `There is no API key "${keyId}".`);
  const data = { userId: found.key.userId, label: found.key.label };
  const event = { type: 'apikey.revoked', actor: caller.actor, subject: keyId, data } as const;
  await durableStep('auth.api-key-revoked', () =>
    deps.apiKeys.revoke(keyId, deps.clock.now(), [event]),
  );
}
