import { randomUUID } from 'node:crypto';
import type { Principal } from '@gigvault/access/permissions';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { PeerName } from '@gigvault/rpc/service-name';
import type { KeyDeps } from '../keys/key-deps.ts';
import { type AskedKeySpec, RESERVED, requireKeyId, requireKeySpec } from '../keys/key-spec.ts';
import type { FirstState } from '../keys/key-state.ts';
import { GENERATE_GRANTS, isPurpose, type Purpose } from '../keys/purposes.ts';
import { notForRoles, type RefusalDeps, refuseUse } from '../keys/refuse-use.ts';
import type { StoredKey } from '../keys/stored-key.ts';
import { createKey, requireServiceKeyType } from './create-key.ts';

/** The tenant of the platform's own keys. */
export const SYSTEM_TENANT = 'default';

/** What a service asks for. */
export interface ServiceKeyRequest {
  readonly keyId: string;
  readonly keyType: string;
  readonly purposes: readonly string[];
  /** Who asked the service; empty for the service itself. */
  readonly actor: string;
}

/**
 * A key for the calling service, which alone may use it, for purposes that GENERATE_GRANTS gives it. Its id begins with the service's name,
 * so that none takes another's. Each refusal is an event. Errors: INVALID_KEY_ID, RATE_LIMITED, KEY_USE_REFUSED for any other purpose or id, INVALID_ARGUMENT, ALREADY_EXISTS, KEY_UNAVAILABLE.
 */
export async function generateServiceKey(
  deps: KeyDeps & RefusalDeps,
  request: ServiceKeyRequest,
  caller: PeerName,
): Promise<StoredKey> {
  requireKeyId(request.keyId);
  const owner = `service:${caller}`;
  await deps.limits.take('generate', owner, request.keyId);
  const purposes = requirePurposes(request.purposes);
  const why = whyNotGranted(request.keyId, purposes, caller);
  if (why !== undefined)
    throw await refuseUse(deps, request.keyId, { purpose: 'generate', caller }, why);
  return createKey(deps, {
    keyId: request.keyId,
    keyType: requireServiceKeyType(request.keyType),
    usage: 'sign',
    purposes,
    callers: [caller],
    issuerName: null,
    owner,
    tenantId: SYSTEM_TENANT,
    actor: request.actor || owner,
  });
}

/** What a person asks for. */
export interface UserKeyRequest extends AskedKeySpec {
  /** Absent: a random one. */
  readonly keyId?: string | undefined;
  /** Absent: the one of new keys. */
  readonly backend?: string | undefined;
  /** Absent: `active`. */
  readonly state?: FirstState | undefined;
}

/**
 * A general key that belongs to the person. It has no purposes and no callers, so the RPC Sign refuses it.
 * Errors: RATE_LIMITED, INVALID_ARGUMENT, NOT_FOUND for a backend that there is not, KEY_USE_REFUSED for one that is not for their roles, ALREADY_EXISTS,
 * KEY_UNAVAILABLE.
 */
export async function generateUserKey(
  deps: KeyDeps & RefusalDeps,
  request: UserKeyRequest,
  principal: Principal,
): Promise<StoredKey> {
  if (request.keyId !== undefined && RESERVED.test(request.keyId)) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      'Key ids that begin with ca-, ocsp-, audit- or auth- are kept for services.',
    );
  }
  await deps.limits.take('generate', principal.actor, request.keyId ?? '*');
  await requireBackend(deps, request, principal);
  return createKey(deps, {
    ...requireKeySpec(request),
    keyId: request.keyId ?? randomUUID(),
    backend: request.backend,
    state: request.state,
    purposes: [],
    callers: [],
    issuerName: null,
    owner: principal.actor,
    tenantId: principal.tenantId,
    actor: principal.actor,
  });
}

/** The refusal is an event. Errors: NOT_FOUND, KEY_USE_REFUSED. */
async function requireBackend(
  deps: KeyDeps & RefusalDeps,
  { keyId = '*', backend }: UserKeyRequest,
  { actor, roles }: Principal,
): Promise<void> {
  const { backends } = deps;
  const store = backend === undefined ? backends.forNewKeys : backends.named(backend);
  if (backends.admits(store.backend, roles)) return;
  const use = { purpose: 'generate', caller: actor };
  throw await refuseUse(deps, keyId, use, notForRoles(store.backend));
}

function whyNotGranted(
  keyId: string,
  purposes: readonly Purpose[],
  caller: PeerName,
): string | undefined {
  if (!keyId.startsWith(`${caller}-`)) return `ids of ${caller}'s keys begin with '${caller}-'`;
  const granted = GENERATE_GRANTS[caller] ?? [];
  const refused = purposes.filter((purpose) => !granted.includes(purpose));
  return refused.length === 0
    ? undefined
    : `${caller} may not generate keys for ${refused.join(', ')}`;
}

/** Each once. Errors: INVALID_ARGUMENT. */
function requirePurposes(asked: readonly string[]): readonly Purpose[] {
  const purposes = [...new Set(asked)].filter(isPurpose);
  if (asked.length > 0 && purposes.length === new Set(asked).size) return purposes;
  throw new GigvaultError('INVALID_ARGUMENT', 'A key needs purposes, each of them a known one.');
}
