import { randomBytes, randomUUID } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Authorization } from '@gigvault/proto/ra/v1/authorization';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import { requesterOf } from '../account/requester.ts';
import type { OrderProfile, Profiles } from '../ports/certificate-authority.ts';
import type { Order, Orders } from '../ports/orders.ts';
import type { Authorizations } from '../ports/registration-authority.ts';
import { checkIdentifiers } from './order-identifiers.ts';
import { checkOrderValidity, lastMomentFor } from './order-validity.ts';

const HOUR = 3_600_000;

/** What creating an order needs. */
export interface CreateOrderDeps {
  readonly orders: Orders;
  readonly authorizations: Authorizations;
  readonly profiles: Profiles;
  readonly clock: Clock;
  readonly development: boolean;
  readonly rules: OrderRules;
}

/** The configured part of it. */
export interface OrderRules {
  /** Milliseconds that a client has to make an order ready and finalize it. */
  readonly orderLifetime: number;
  /** Pending and ready orders of one account. */
  readonly maxOpenOrders: number;
  /** New orders of one account in an hour, over all processes. What runs at the same time may overshoot it. */
  readonly maxOrdersPerHour: number;
  /** Profile names that clients may choose; the first is the default. */
  readonly profiles: readonly string[];
}

/** The payload of new-order, decoded. Times are Unix milliseconds, 0 when absent. */
export interface NewOrder {
  readonly identifiers: readonly { readonly type: string; readonly value: string }[];
  readonly notBefore: number;
  readonly notAfter: number;
  /** '' for the default. */
  readonly profile: string;
}

/**
 * Makes an order with its authorizations (RFC 8555 §7.4); it is ready at once when all of them are valid already.
 * The profile's hash of this moment is pinned in it (T14). It expires no later than the last moment at which its times can be had.
 * Errors: RATE_LIMITED, UNKNOWN_PROFILE, and those of checkIdentifiers and checkOrderValidity.
 */
export async function createOrder(
  deps: CreateOrderDeps,
  accountId: string,
  wanted: NewOrder,
): Promise<Order> {
  const identifiers = checkIdentifiers(wanted.identifiers, deps.development);
  const now = deps.clock.now();
  const profileName = wanted.profile || deps.rules.profiles[0]!;
  const profile = await findProfile(deps, profileName);
  checkOrderValidity(wanted, profile, now);
  await requireRoom(deps, accountId, now);
  const authorizations = await deps.authorizations.create(requesterOf(accountId), identifiers);
  const order: Order = {
    orderId: randomBytes(15).toString('base64url'),
    accountId,
    status: 'pending',
    identifiers,
    authorizationIds: authorizations.map((authorization) => authorization.authorizationId),
    profile: profileName,
    profileHash: profile.profileHash,
    requestId: randomUUID(),
    notBefore: wanted.notBefore,
    notAfter: wanted.notAfter,
    createdAt: now,
    expiresAt: earliestExpiry(
      authorizations,
      Math.min(now + deps.rules.orderLifetime, lastMomentFor(wanted, profile)),
    ),
  };
  await durableStep('enroll.order', () => deps.orders.create(order));
  const isReady = authorizations.every((authorization) => authorization.status === 'valid');
  return isReady ? { ...order, status: 'ready' } : order;
}

async function findProfile(deps: CreateOrderDeps, name: string): Promise<OrderProfile> {
  const profile = deps.rules.profiles.includes(name) ? await deps.profiles.find(name) : undefined;
  if (profile) return profile;
  throw new GigvaultError('UNKNOWN_PROFILE', `There is no profile ${JSON.stringify(name)}.`);
}

async function requireRoom(
  { orders, rules }: CreateOrderDeps,
  accountId: string,
  now: number,
): Promise<void> {
  const { maxOpenOrders, maxOrdersPerHour } = rules;
  const { open, nthNewest = 0 } = await orders.load(accountId, maxOpenOrders, maxOrdersPerHour);
  if (open >= maxOpenOrders) {
    throw new GigvaultError('RATE_LIMITED', `The account has ${maxOpenOrders} unfinished orders.`, {
      retryAfter: HOUR / 1_000,
    });
  }
  const room = nthNewest + HOUR;
  if (room <= now) return;
  throw new GigvaultError(
    'RATE_LIMITED',
    `The account has made ${maxOrdersPerHour} orders within an hour.`,
    { retryAfter: (room - now) / 1_000 },
  );
}

function earliestExpiry(authorizations: readonly Authorization[], latest: number): number {
  return Math.min(
    latest,
    ...authorizations.map((authorization) => authorization.expiresAt || latest),
  );
}
