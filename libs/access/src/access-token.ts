import { hash } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Clock } from '@gigvault/time/clock';
import { type CryptoKey, errors, importJWK, type JWK, type JWTPayload, jwtVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import { isRole, type Principal, permissionsOf } from './permissions.ts';

/** How long fetching the keys again may hold up those who wait for it, in milliseconds. */
export const JWKS_DEADLINE = 3_000;

/** `typ` of an access token (RFC 9068 §2.1). */
export const ACCESS_TOKEN_TYPE = 'at+jwt';

/** The only signature algorithm of an access token (RFC 7518 §3.4); the token's header has no say. */
export const ACCESS_TOKEN_ALGORITHM = 'ES256';

/** What verifies access tokens, as `TokenService.GetJwks` answers it. */
export interface TokenKeys {
  /** JWK Set (RFC 7517 §5), JSON. */
  readonly jwks: string;
  /** Required `iss`. */
  readonly issuer: string;
  /** Required `aud`. */
  readonly audience: string;
  /** API keys whose access tokens (`client_id`) are refused although they have not expired. */
  readonly revokedKeyIds: readonly string[];
}

/** Where a verifier gets its keys and the time. */
export interface TokenVerifierOptions {
  /** Fetches the keys. Called once at first, then when they are old or a `kid` is unknown; at most every ten seconds. */
  jwks(): Promise<TokenKeys>;
  readonly clock: Clock;
}

/** Milliseconds between two fetches: how long a revoked API key's tokens are taken after its revocation, at most. */
const REFETCH_AFTER = 10_000;
const LEEWAY_SECONDS = 60;
const LONGEST_TOKEN = 4096;
const MOST_VERIFIED = 10_000;

const claimsSchema = z.object({
  sub: z.string().min(1).max(200),
  name: z.string().min(1).max(200),
  roles: z.array(z.string()).max(20),
  tenant: z.string().min(1).max(200),
  client_id: z.string().min(1).max(200).optional(),
});

/** Verifies access tokens, and knows which API keys are good no more. */
export interface TokenVerifier {
  /**
   * Errors: UNAUTHENTICATED, which says whether the token is expired or invalid and no more; UNAVAILABLE when there are no keys yet and they cannot
   * be fetched.
   */
  verify(token: string): Promise<Principal>;
  /** True for an API key that was revoked, as of the last fetch. Errors: UNAVAILABLE. */
  isRevoked(keyId: string): Promise<boolean>;
}

/**
 * Verifies access tokens (RFC 9068) without asking anybody for each: keys are cached and looked up by `kid` in a map, so that
 * nothing in a token's header can name a file, a query or an address (RFC 8725 §3.10). Tokens of revoked API keys are refused
 * as of the last fetch; while nothing can be fetched, the last answer serves on.
 */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const keys = cachedKeys(options);
  return {
    async verify(token) {
      try {
        if (token.length > LONGEST_TOKEN) throw invalid();
        const keySet = await keys.current();
        const principal = await principalBehind(token, keySet, options.clock);
        if (keySet.revokedKeyIds.has(principal.credentialId ?? '')) throw invalid();
        return principal;
      } catch (error) {
        throw asRefusal(error);
      }
    },
    isRevoked: async (keyId) => (await keys.current()).revokedKeyIds.has(keyId),
  };
}

/** A token is verified once for as long as a set of keys lives. It is remembered by its SHA-256, and itself kept nowhere. */
async function principalBehind(token: string, keySet: KeySet, clock: Clock): Promise<Principal> {
  const fingerprint = hash('sha256', token, 'base64');
  const known = keySet.verified.get(fingerprint);
  if (known !== undefined && clock.now() < known.until) return known.principal;
  const payload = await verify(token, keySet, clock);
  const principal = principalOf(payload);
  const until = ((payload.exp as number) + LEEWAY_SECONDS) * 1000;
  keySet.verified.set(fingerprint, { principal, until });
  return principal;
}

async function verify(token: string, keySet: KeySet, clock: Clock): Promise<JWTPayload> {
  const verified = await jwtVerify(
    token,
    (header) => {
      const key = keySet.keys.get(header.kid ?? '');
      if (!key) throw invalid();
      return key;
    },
    {
      algorithms: [ACCESS_TOKEN_ALGORITHM],
      typ: ACCESS_TOKEN_TYPE,
      issuer: keySet.issuer,
      audience: keySet.audience,
      requiredClaims: ['exp', 'iat', 'sub'],
      clockTolerance: LEEWAY_SECONDS,
      currentDate: new Date(clock.now()),
    },
  );
  return verified.payload;
}

function principalOf(payload: JWTPayload): Principal {
  const claims = claimsSchema.safeParse(payload);
  if (!claims.success) throw invalid();
  const { sub, name, roles, tenant, client_id: credentialId } = claims.data;
  return {
    actor: `user:${sub}`,
    name,
    roles: roles.filter(isRole),
    permissions: permissionsOf(roles),
    tenantId: tenant,
    ...(credentialId === undefined ? {} : { credentialId }),
  };
}

function asRefusal(error: unknown): GigvaultError {
  if (error instanceof GigvaultError) return error;
  if (error instanceof errors.JWTExpired)
    return new GigvaultError('UNAUTHENTICATED', 'The access token is expired.', {
      details: { reason: 'expired' },
    });
  return invalid(error);
}

/** UNAUTHENTICATED, for whatever is no token of ours. */
export function invalid(cause?: unknown): GigvaultError {
  return new GigvaultError('UNAUTHENTICATED', 'The access token is invalid.', {
    details: { reason: 'invalid' },
    cause,
  });
}

interface KeySet {
  readonly issuer: string;
  readonly audience: string;
  readonly keys: ReadonlyMap<string, CryptoKey>;
  readonly revokedKeyIds: ReadonlySet<string>;
  /** Whose tokens are that were verified by these keys, by their SHA-256; `until` in Unix milliseconds. */
  readonly verified: LRUCache<string, { readonly principal: Principal; readonly until: number }>;
}

function cachedKeys({ jwks, clock }: TokenVerifierOptions) {
  let current: KeySet | undefined;
  let triedAt = 0;
  let inFlight: Promise<KeySet> | undefined;

  async function load(): Promise<KeySet> {
    const loaded = await importKeys(await jwks());
    current = loaded;
    return loaded;
  }

  function refetch(): Promise<KeySet> {
    // Not the time of day: whoever sets that back would make a revoked key good again.
    triedAt = clock.elapsed();
    inFlight ??= load().finally(() => {
      inFlight = undefined;
    });
    return inFlight;
  }

  return {
    /** The keys, fetched again when the last fetch is not too recent; the last ones when that fails. */
    async current(): Promise<KeySet> {
      if (!current) return refetch().catch(unavailable);
      if (!inFlight && clock.elapsed() - triedAt < REFETCH_AFTER) return current;
      const previous = current;
      return refetch().catch(() => previous);
    },
  };
}

function unavailable(cause: unknown): never {
  throw new GigvaultError('UNAVAILABLE', 'Access tokens cannot be verified now.', { cause });
}

async function importKeys(answer: TokenKeys): Promise<KeySet> {
  const { keys } = JSON.parse(answer.jwks) as { keys: JWK[] };
  const usable = keys.filter(
    (jwk) => jwk.kid && jwk.kty === 'EC' && jwk.crv === 'P-256' && jwk.use !== 'enc',
  );
  const imported = await Promise.all(
    usable.map(async ({ kid, kty, crv, x, y }) => {
      const key = await importJWK({ kty, crv, x, y } as JWK, ACCESS_TOKEN_ALGORITHM);
      return [kid as string, key as CryptoKey] as const;
    }),
  );
  return {
    issuer: answer.issuer,
    audience: answer.audience,
    keys: new Map(imported),
    revokedKeyIds: new Set(answer.revokedKeyIds),
    verified: new LRUCache({ max: MOST_VERIFIED }),
  };
}
