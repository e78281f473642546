import type { Principal, Role } from '@gigvault/access/permissions';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { ClockGuard } from '@gigvault/time/clock-guard';
import type { EncryptionTable } from '../ports/encryption-table.ts';
import type { LimitedUse } from '../ports/use-limits.ts';
import { keyNotFound, OTHER_TENANT } from './find-keys.ts';
import type { KeyDeps } from './key-deps.ts';
import { isGranted } from './key-grant.ts';
import { RESERVED, requireKeyId } from './key-spec.ts';
import { notForRoles, type RefusalDeps, refuseUse } from './refuse-use.ts';
import { type DataUse, requireFit } from './require-fit.ts';
import type { StoredKey } from './stored-key.ts';

/** What people do with their keys needs. */
export interface PersonDeps extends KeyDeps, RefusalDeps {
  readonly encryptions: EncryptionTable;
  readonly clockGuard: ClockGuard;
  /** Milliseconds between the request for a destruction and the destruction. */
  readonly destructionWait: number;
  /** People besides who asked without whom no key is destroyed. */
  readonly destructionApprovals: number;
}

/** What people do with a key; stands as purpose in the event of a refusal. */
export type PersonUse =
  | DataUse
  | 'rotate'
  | 'change-state'
  | 'destroy'
  | 'approve-destruction'
  | 'restore'
  | 'grant';

const MANAGERS: readonly Role[] = ['admin', 'operator'];

/**
 * Who may do it with a key of somebody else. Keys outlive their owners' time here, so those who manage the tenant's keys manage all of them; but a
 * signature speaks for the owner, and what is encrypted is for the owner's eyes.
 */
const FOR_OTHERS: Readonly<Record<PersonUse, readonly Role[]>> = {
  sign: ['admin'],
  verify: ['admin'],
  encrypt: ['admin'],
  decrypt: ['admin'],
  rotate: MANAGERS,
  'change-state': MANAGERS,
  destroy: MANAGERS,
  'approve-destruction': MANAGERS,
  restore: MANAGERS,
  grant: ['admin'],
};

/** What each counts as. */
const COUNTS_AS: Readonly<Record<PersonUse, LimitedUse>> = {
  sign: 'sign',
  // Only with keys without a public half: each answer is one that the secret gave.
  verify: 'sign',
  encrypt: 'sign',
  decrypt: 'sign',
  rotate: 'generate',
  'change-state': 'change',
  destroy: 'change',
  'approve-destruction': 'change',
  restore: 'change',
  grant: 'change',
};

/** Attempts of one use. Each may be a signature; whoever changes a key so often does not do it by chance. */
const MOST_ATTEMPTS = 5;

/**
 * Takes the share of one use, then does `attempt` with the key, as it is in the table now, until nobody has changed the key meanwhile, which `attempt` says by
 * undefined. Whoever may use it no more by then is refused, and so is a use that it is not fit for. Errors: those of requireOwnKey, requireFit and `attempt`; CONFLICT when somebody changes it at each attempt.
 */
export async function useOwnKey<T>(
  deps: PersonDeps,
  keyId: string,
  use: DataUse,
  principal: Principal,
  attempt: (key: StoredKey) => Promise<T | undefined>,
): Promise<T> {
  await takeShare(deps, keyId, use, principal);
  for (let n = 0; n < MOST_ATTEMPTS; n++) {
    const key = await findOwnKey(deps, keyId, use, principal);
    await requireFit(deps, key, use, principal.actor);
    const done = await attempt(key);
    if (done !== undefined) return done;
  }
  const message = `Key '${keyId}' was changed by somebody else at each of ${MOST_ATTEMPTS} attempts.`;
  throw new GigvaultError('CONFLICT', message, { details: { key_id: keyId } });
}

/**
 * The key, as it is in the table now, if this person may do this with it whatever its state. Each refusal is an event (T63).
 * Errors: RATE_LIMITED; INVALID_KEY_ID; KEY_NOT_FOUND, also for another tenant's key; KEY_USE_REFUSED for a key of a service, of
 * somebody else who did not grant it, or in a backend that is not for their roles.
 */
export async function requireOwnKey(
  deps: PersonDeps,
  keyId: string,
  use: PersonUse,
  principal: Principal,
): Promise<StoredKey> {
  await takeShare(deps, keyId, use, principal);
  return findOwnKey(deps, keyId, use, principal);
}

async function takeShare(
  { limits }: PersonDeps,
  keyId: string,
  use: PersonUse,
  { actor }: Principal,
): Promise<void> {
  requireKeyId(keyId);
  await limits.take(COUNTS_AS[use], actor, keyId);
}

async function findOwnKey(
  deps: PersonDeps,
  keyId: string,
  use: PersonUse,
  principal: Principal,
): Promise<StoredKey> {
  const key = await deps.keys.find(keyId);
  if (key === undefined) throw keyNotFound(keyId);
  const reason = whyNotTheirs(deps, key, use, principal);
  if (reason === undefined) return key;
  const refusal = await refuseUse(deps, keyId, { purpose: use, caller: principal.actor }, reason);
  throw key.tenantId === principal.tenantId ? refusal : keyNotFound(keyId);
}

function whyNotTheirs(
  { backends }: Pick<PersonDeps, 'backends'>,
  key: StoredKey,
  use: PersonUse,
  principal: Principal,
): string | undefined {
  if (key.tenantId !== principal.tenantId) return OTHER_TENANT;
  if (isOfService(key)) return 'it is a key of a service';
  const { actor, roles } = principal;
  const may =
    key.owner === actor || isGranted(key, use, actor) || roles.some(isIn(FOR_OTHERS[use]));
  if (!may) return 'it is a key of somebody else';
  return backends.admits(key.backend, roles) ? undefined : notForRoles(key.backend);
}

/** What relying parties trust, or services sign with. Any one of these says so. */
function isOfService(key: StoredKey): boolean {
  return (
    key.purposes.length > 0 ||
    key.callers.length > 0 ||
    key.issuerName !== null ||
    RESERVED.test(key.keyId)
  );
}

function isIn(roles: readonly Role[]): (role: Role) => boolean {
  return (role) => roles.includes(role);
}
