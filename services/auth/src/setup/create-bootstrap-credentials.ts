import { randomUUID } from 'node:crypto';
import type { CreateBootstrapCredentialsResponse } from '@gigvault/proto/auth/v1/token';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import { newApiKeyCredential, newSetupCredential } from '../credentials/credential.ts';
import type { AuthEvent } from '../ports/auth-event.ts';
import type { BootstrapDone, SetupStore } from '../ports/setup-store.ts';
import { OPERATOR_NAME } from '../users/user-name.ts';

/** What bootstrapping needs. Lifetimes are milliseconds. */
export interface BootstrapDeps {
  readonly setup: SetupStore;
  readonly clock: Clock;
  readonly setupTokenLifetime: number;
  readonly operatorKeyLifetime: number;
}

/** The label of the operator's key. Keys with this label are rotated at each call; those that the person made stay. */
export const OPERATOR_KEY_LABEL = 'bootstrap operator';

const ACTOR = 'service:gigvault';

/**
 * An API key for the machine's own operator, an administrator, and a setup token for the first human administrator while
 * there is none. Earlier keys of the operator and earlier unused tokens stop to work.
 */
export async function createBootstrapCredentials(
  deps: BootstrapDeps,
): Promise<CreateBootstrapCredentialsResponse> {
  const at = deps.clock.now();
  const key = newApiKeyCredential();
  const token = newSetupCredential();
  const keyExpiresAt = at + deps.operatorKeyLifetime;
  const tokenExpiresAt = at + deps.setupTokenLifetime;
  const done = await durableStep('auth.bootstrap', () =>
    deps.setup.bootstrap({
      at,
      operator: {
        userId: randomUUID(),
        name: OPERATOR_NAME,
        displayName: 'Operator of this machine',
        roles: ['admin'],
        status: 'active',
        tenantId: 'default',
        createdAt: at,
      },
      apiKey: {
        keyId: key.keyId,
        secretHash: key.hash,
        label: OPERATOR_KEY_LABEL,
        createdAt: at,
        expiresAt: keyExpiresAt,
      },
      setupToken: { tokenHash: token.hash, roles: ['admin'], expiresAt: tokenExpiresAt },
      events: (outcome) => bootstrapEvents(outcome, key.keyId, keyExpiresAt, tokenExpiresAt),
    }),
  );
  return { setupToken: done.setupTokenCreated ? token.text : '', operatorApiKey: key.text };
}

function bootstrapEvents(
  done: BootstrapDone,
  keyId: string,
  keyExpiresAt: number,
  tokenExpiresAt: number,
): AuthEvent[] {
  const { userId } = done;
  const key = { userId, label: OPERATOR_KEY_LABEL };
  const created: AuthEvent[] = done.userCreated
    ? [
        {
          type: 'user.created',
          actor: ACTOR,
          subject: userId,
          data: { name: OPERATOR_NAME, roles: ['admin'] },
        },
      ]
    : [];
  const revoked = done.revokedKeyIds.map(
    (old): AuthEvent => ({ type: 'apikey.revoked', actor: ACTOR, subject: old, data: key }),
  );
  const invited: AuthEvent[] = done.setupTokenCreated
    ? [
        {
          type: 'setup.created',
          actor: ACTOR,
          subject: 'first-administrator',
          data: { roles: ['admin'], expiresAt: tokenExpiresAt },
        },
      ]
    : [];
  return [
    ...created,
    ...revoked,
    {
      type: 'apikey.created',
      actor: ACTOR,
      subject: keyId,
      data: { ...key, expiresAt: keyExpiresAt },
    },
    ...invited,
  ];
}
