import { durableStep } from '@gigvault/telemetry/durable-step';
import type { KeyOfUser } from '../ports/api-key-store.ts';
import { refusedKey, type VerifyDeps, verifyApiKey } from './verify-api-key.ts';

/** An API key as a client sent it to a service. */
export interface PresentedKey {
  readonly apiKey: string;
  readonly clientIp: string;
  /** The service that asks. */
  readonly service: string;
}

/**
 * Whose API key it is. The service remembers the answer for a minute and asks again: the event, which is durable before the answer, tells of each of these
 * minutes. Throws what verifyApiKey does.
 */
export async function authenticateApiKey(
  deps: VerifyDeps,
  { apiKey, clientIp, service }: PresentedKey,
): Promise<KeyOfUser> {
  const found = await verifyApiKey(deps, apiKey, clientIp);
  const { key, user } = found;
  const event = {
    type: 'apikey.used',
    actor: `user:${user.userId}`,
    subject: key.keyId,
    data: { service, roles: user.roles, clientIp },
  } as const;
  const used = await durableStep('auth.token', () =>
    deps.apiKeys.use(key.keyId, deps.clock.now(), [event]),
  );
  if (!used) throw refusedKey();
  return found;
}
