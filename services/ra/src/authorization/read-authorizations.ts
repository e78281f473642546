import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { isUuid } from '@gigvault/ids/uuid';
import type { Authorization } from '@gigvault/proto/ra/v1/authorization';
import type { Clock } from '@gigvault/time/clock';
import type { AuthorizationStore } from '../ports/authorization-store.ts';

const MAX_IDS = 100;

/** What reading needs. */
export interface ReadAuthorizationsDeps {
  readonly authorizations: AuthorizationStore;
  readonly clock: Clock;
}

/**
 * The authorizations in the order of the ids, with `expired` for pending and valid ones whose time is over (RFC 8555 §7.1.6).
 * Errors: AUTHORIZATION_NOT_FOUND when any is missing, INVALID_ARGUMENT for none or more than 100.
 */
export async function readAuthorizations(
  deps: ReadAuthorizationsDeps,
  ids: readonly string[],
): Promise<Authorization[]> {
  if (ids.length === 0 || ids.length > MAX_IDS)
    throw new GigvaultError('INVALID_ARGUMENT', `Ask for 1 to ${MAX_IDS} authorizations.`);
  const wanted = ids.filter((id) => isUuid(id));
  const found =
    wanted.length === ids.length ? await deps.authorizations.get([...new Set(ids)]) : [];
  const byId = new Map(found.map((one) => [one.authorizationId, one]));
  const now = deps.clock.now();
  return ids.map((id) => {
    const one = byId.get(id);
    if (!one)
      throw new GigvaultError(
        'AUTHORIZATION_NOT_FOUND',
        `There is no authorization ${JSON.stringify(id.slice(0, 64))}.`,
      );
    return isOver(one, now) ? { ...one, status: 'expired' } : one;
  });
}

/** One authorization of this requester. Errors: AUTHORIZATION_NOT_FOUND, FORBIDDEN when it is somebody else's. */
export async function readOwnAuthorization(
  deps: ReadAuthorizationsDeps,
  id: string,
  requester: string,
): Promise<Authorization> {
  const [authorization] = await readAuthorizations(deps, [id]);
  if (authorization?.requester !== requester)
    throw new GigvaultError('FORBIDDEN', 'This authorization is not yours.');
  return authorization;
}

function isOver({ status, expiresAt }: Authorization, now: number): boolean {
  return (status === 'pending' || status === 'valid') && expiresAt <= now;
}
