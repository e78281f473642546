import { randomBytes, randomUUID } from 'node:crypto';
import type { AddressRules } from '@gigvault/egress/address-rules';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type {
  Authorization,
  CreateAuthorizationsRequest,
  Identifier,
} from '@gigvault/proto/ra/v1/authorization';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import type { AuthorizationStore, NewAuthorization } from '../ports/authorization-store.ts';
import { normalizeIdentifiers } from './normalize-identifiers.ts';

/** A reused authorization lasts at least this much longer, so that an order can be finished with it. */
const REUSE_MARGIN = 3_600_000;

/** Seconds after which a requester with too many pending authorizations may try again. */
const FULL_RETRY = 3600;

/** What making authorizations needs. */
export interface CreateAuthorizationsDeps {
  readonly authorizations: AuthorizationStore;
  readonly clock: Clock;
  readonly rules: AddressRules;
  /** Milliseconds in which a pending authorization can be validated. */
  readonly pendingValidity: number;
  /** Pending authorizations of one requester. What runs at the same time may overshoot it. */
  readonly maxPending: number;
}

/**
 * One authorization for each identifier, in the same order; identifiers that are the same share one. A valid one of the same
 * requester is used again (RFC 8555 §7.4), otherwise a pending one is made.
 * Errors: REJECTED_IDENTIFIER, UNSUPPORTED_IDENTIFIER, INVALID_ARGUMENT; RATE_LIMITED when too many of the requester wait.
 */
export async function createAuthorizations(
  deps: CreateAuthorizationsDeps,
  request: CreateAuthorizationsRequest,
): Promise<Authorization[]> {
  const { authorizations, clock, rules } = deps;
  if (request.requester === '')
    throw new GigvaultError('INVALID_ARGUMENT', 'The requester is missing.');
  const identifiers = normalizeIdentifiers(request.identifiers, rules);
  const now = clock.now();
  const valid = await authorizations.findValid(request.requester, identifiers, now + REUSE_MARGIN);
  const byName = new Map(
    valid.flatMap((found) => (found.identifier ? [[keyOf(found.identifier), found] as const] : [])),
  );
  const missing = new Map(identifiers.map((identifier) => [keyOf(identifier), identifier]));
  for (const name of byName.keys()) missing.delete(name);
  const made = [...missing.values()].map((identifier) =>
    newAuthorization(identifier, now + deps.pendingValidity),
  );
  if (made.length > 0) {
    await requireRoom(deps, request.requester, made.length, now);
    await durableStep('ra.authorizations', () =>
      authorizations.create(request.requester, made, now),
    );
  }
  for (const one of made) byName.set(keyOf(one.identifier), asPending(one, request.requester));
  return identifiers.map((identifier) => byName.get(keyOf(identifier)) as Authorization);
}

async function requireRoom(
  { authorizations, maxPending }: CreateAuthorizationsDeps,
  requester: string,
  wanted: number,
  now: number,
): Promise<void> {
  if ((await authorizations.countPending(requester, now, maxPending)) + wanted <= maxPending)
    return;
  throw new GigvaultError(
    'RATE_LIMITED',
    `At most ${maxPending} authorizations of one account can be pending; validate or deactivate some.`,
    { retryAfter: FULL_RETRY },
  );
}

/** Names are equal when these are: the identifiers are canonical. */
export function keyOf({ type, value }: Identifier): string {
  return `${type}:${value}`;
}

function newAuthorization(identifier: Identifier, expiresAt: number): NewAuthorization {
  return {
    authorizationId: randomUUID(),
    identifier,
    challengeId: randomUUID(),
    token: randomBytes(32).toString('base64url'),
    expiresAt,
  };
}

function asPending(made: NewAuthorization, requester: string): Authorization {
  const { authorizationId, identifier, challengeId, token, expiresAt } = made;
  const challenge = {
    challengeId,
    type: 'http-01',
    token,
    status: 'pending',
    validatedAt: 0,
    error: '',
  };
  return {
    authorizationId,
    requester,
    identifier,
    status: 'pending',
    expiresAt,
    challenges: [challenge],
  };
}
