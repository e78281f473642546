import { hash } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Clock } from '@gigvault/time/clock';
import { LRUCache } from 'lru-cache';
import type { TokenVerifier } from './access-token.ts';
import { isRole, type Principal, permissionsOf } from './permissions.ts';

/** Milliseconds that asking whose key it is may take. */
export const API_KEY_DEADLINE = 5_000;

/** How every API key begins. */
const API_KEY_PREFIX = 'gv_key_';
const LONGEST_KEY = 200;

/** Milliseconds that an answer of `auth` serves. A key that is revoked meanwhile is refused when the verifier hears of it, within ten seconds. */
const MAX_AGE = 60_000;
const MOST_KEYS = 10_000;

/** Somebody who is active, as `IdentityService` answers it. */
export interface Identity {
  readonly userId: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly tenantId: string;
}

/** Whose a key is. */
export interface ApiKeyIdentity {
  readonly identity?: Identity | undefined;
  readonly keyId: string;
  /** Unix milliseconds; 0 for a key that does not expire. */
  readonly expiresAt: number;
}

/** Tells `auth` of a credential that was refused without asking it. */
export type ReportCredential = (
  kind: 'access-token' | 'api-key',
  clientIp: string,
) => Promise<unknown>;

/** What recognising API keys needs. */
export interface ApiKeyOptions {
  /** Asks `auth`. Errors: UNAUTHENTICATED, RATE_LIMITED, UNAVAILABLE. */
  identify(apiKey: string, clientIp: string): Promise<ApiKeyIdentity>;
  readonly tokens: Pick<TokenVerifier, 'isRevoked'>;
  readonly clock: Clock;
  readonly reportCredential?: ReportCredential | undefined;
}

interface Known {
  readonly principal: Principal & { readonly credentialId: string };
  readonly expiresAt: number;
  /** Of `clock.elapsed()`: who sets the time of day back keeps nothing alive. */
  readonly until: number;
}

/** True for what is meant as an API key, and is no access token. */
export function isApiKey(text: string): boolean {
  return text.startsWith(API_KEY_PREFIX);
}

/**
 * Recognises API keys: `auth` is asked for each once a minute, and what it answers is remembered by the SHA-256 of the key, which itself is kept nowhere. The
 * secret has 256 random bits, so that a slow hash would add nothing.
 *
 * @returns the principal behind a key. Errors: UNAUTHENTICATED, RATE_LIMITED, UNAVAILABLE.
 */
export function recogniseApiKeys(
  options: ApiKeyOptions,
): (apiKey: string, clientIp: string) => Promise<Principal> {
  const { tokens, clock } = options;
  const known = new LRUCache<string, Known>({ max: MOST_KEYS });
  const asking = new Map<string, Promise<Known>>();

  async function refusedHere(clientIp: string): Promise<GigvaultError> {
    await options.reportCredential?.('api-key', clientIp);
    return refused();
  }

  /** Of many at once from one address one asks. */
  function ask(apiKey: string, clientIp: string, fingerprint: string): Promise<Known> {
    const id = `${fingerprint} ${clientIp}`;
    const begun = asking.get(id);
    if (begun) return begun;
    const until = clock.elapsed() + MAX_AGE;
    const asked = options
      .identify(apiKey, clientIp)
      .then((answer) => toKnown(answer, until))
      .finally(() => asking.delete(id));
    asking.set(id, asked);
    return asked;
  }

  return async (apiKey, clientIp) => {
    if (apiKey.length > LONGEST_KEY) throw await refusedHere(clientIp);
    const fingerprint = hash('sha256', apiKey, 'base64');
    let entry = known.get(fingerprint);
    if (entry === undefined || clock.elapsed() >= entry.until) {
      known.delete(fingerprint);
      entry = await ask(apiKey, clientIp, fingerprint);
      known.set(fingerprint, entry);
    }
    const { principal, expiresAt } = entry;
    if (expiresAt !== 0 && expiresAt <= clock.now()) throw await refusedHere(clientIp);
    if (await tokens.isRevoked(principal.credentialId)) throw await refusedHere(clientIp);
    return principal;
  };
}

function toKnown({ identity, keyId, expiresAt }: ApiKeyIdentity, until: number): Known {
  if (identity === undefined) throw refused();
  return { principal: { ...toPrincipal(identity), credentialId: keyId }, expiresAt, until };
}

/** The person, with what their roles may do. */
export function toPrincipal({ userId, name, roles, tenantId }: Identity): Principal {
  return {
    actor: `user:${userId}`,
    name,
    roles: roles.filter(isRole),
    permissions: permissionsOf(roles),
    tenantId,
  };
}

function refused(): GigvaultError {
  return new GigvaultError('UNAUTHENTICATED', 'The API key is not valid.', {
    details: { reason: 'invalid' },
  });
}
