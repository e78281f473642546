import { randomUUID } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import { newApiKeyCredential, parseSetupToken } from '../credentials/credential.ts';
import type { FailureLimiter } from '../credentials/failure-limiter.ts';
import type { FailureLog } from '../credentials/failure-log.ts';
import type { AuthEvent } from '../ports/auth-event.ts';
import type { SetupStore } from '../ports/setup-store.ts';
import type { User } from '../ports/user-store.ts';
import { normalizeUserName } from '../users/user-name.ts';

/** What redeeming needs. */
export interface RedeemDeps {
  readonly setup: SetupStore;
  readonly limiter: FailureLimiter;
  readonly failures: FailureLog;
  readonly clock: Clock;
}

/** A setup token as a client sends it. */
export interface RedeemRequest {
  readonly token: string;
  /** The first administrator's name; an invited user has one. Default `admin`. */
  readonly name?: string;
  readonly clientIp: string;
}

/** The label of the key that a setup token gives. */
export const SETUP_KEY_LABEL = 'setup';

/**
 * Redeems a one-use setup token: the user becomes active and gets its first API key, in one transaction.
 * Throws UNAUTHENTICATED, the same for every reason, RATE_LIMITED after too many failures, ALREADY_EXISTS and
 * INVALID_ARGUMENT for the name; the token stays good after the last two.
 */
export function redeemSetupToken(
  deps: RedeemDeps,
  request: RedeemRequest,
): Promise<{ readonly user: User; readonly apiKey: string }> {
  const name = normalizeUserName(request.name ?? 'admin');
  return deps.limiter.attempt(request.clientIp, async () => {
    const tokenHash = parseSetupToken(request.token.trim());
    const credential = newApiKeyCredential();
    const user = tokenHash && (await redeem(deps, request, tokenHash, name, credential));
    if (!user) {
      deps.failures.record('setup-token', request.clientIp);
      throw new GigvaultError(
        'UNAUTHENTICATED',
        'The setup token is not valid: it is wrong, used or expired.',
      );
    }
    return { user, apiKey: credential.text };
  });
}

function redeem(
  deps: RedeemDeps,
  { clientIp }: RedeemRequest,
  tokenHash: Buffer,
  name: string,
  credential: { readonly keyId: string; readonly hash: Buffer },
): Promise<User | undefined> {
  const at = deps.clock.now();
  const { keyId, hash } = credential;
  return durableStep('auth.redeem', () =>
    deps.setup.redeem({
      tokenHash,
      at,
      newUser: { userId: randomUUID(), name },
      apiKey: { keyId, secretHash: hash, label: SETUP_KEY_LABEL, createdAt: at },
      events: (user, revokedKeyIds) => {
        const actor = `user:${user.userId}`;
        const data = { name: user.name, roles: user.roles, keyId, clientIp };
        const revoked = revokedKeyIds.map(
          (old): AuthEvent => ({
            type: 'apikey.revoked',
            actor,
            subject: old,
            data: { userId: user.userId },
          }),
        );
        return [
          { type: 'setup.redeemed', actor, subject: user.userId, data },
          ...revoked,
          {
            type: 'apikey.created',
            actor,
            subject: keyId,
            data: { userId: user.userId, label: SETUP_KEY_LABEL, expiresAt: null },
          },
        ];
      },
    }),
  );
}
