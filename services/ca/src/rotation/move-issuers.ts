import type { Log } from '@gigvault/telemetry/log';
import type { ClockGuard } from '@gigvault/time/clock-guard';
import type { IssuerRegistry } from '../issuers/issuer-registry.ts';
import type { IssuerRetirement, IssuerRotation } from '../ports/issuer-rotation.ts';
import type { IssuerPlace, IssuerStore } from '../ports/issuer-store.ts';

/** What moving needs. */
export interface MoveDeps {
  readonly store: Pick<IssuerStore, 'places'>;
  readonly issuers: IssuerRegistry;
  readonly rotation: Pick<IssuerRotation, 'confirm' | 'switchTo'>;
  readonly retirement: IssuerRetirement;
  readonly clockGuard: ClockGuard;
  readonly log: Log;
}

/** The services that answer for what an issuer has issued: they are ready for it before it issues anything. */
export const CONFIRMING = ['ocsp', 'crl'] as const;

/** Milliseconds beyond the end of its last certificate for which an issuer is looked after: clocks of relying parties may be behind. */
const GRACE = 3_600_000;

/**
 * Notes that a service answers for a prepared issuer. Its switch is left to `moveIssuers`. Nothing happens for an issuer that is not prepared.
 * Errors: NOT_FOUND, UNAVAILABLE.
 */
export async function confirmIssuer(
  { issuers, rotation }: Pick<MoveDeps, 'issuers' | 'rotation'>,
  issuerId: string,
  peer: string,
): Promise<void> {
  const { line, generation } = (await issuers.get(issuerId)).record;
  await rotation.confirm(issuerId, peer, {
    type: 'issuer.confirmed',
    actor: `service:${peer}`,
    subject: issuerId,
    data: { issuerId, line, generation },
  });
}

/**
 * Moves every issuer whose time has come: a prepared one that OCSP and CRLs answer for takes over, and a superseded one whose last certificate
 * has ended retires. Run again and again, by every process; each move happens once. Errors: UNAVAILABLE, also while the clock is not right.
 * @param ends until when a superseded issuer need not be looked at, Unix ms by id: filled here, by what a look has found
 */
export async function moveIssuers(deps: MoveDeps, ends: Map<string, number>): Promise<void> {
  const places = await deps.store.places();
  for (const place of places) {
    if (place.state === 'prepared') await takeOver(deps, place, places);
    if (place.state === 'superseded') await retire(deps, place, ends);
  }
}

async function takeOver(
  { issuers, rotation, clockGuard, log }: MoveDeps,
  { issuerId, line, generation }: IssuerPlace,
  places: readonly IssuerPlace[],
): Promise<void> {
  const old = places.find((place) => place.line === line && place.state === 'current');
  if (old === undefined) return;
  const from = old.issuerId;
  const moved = await rotation.switchTo({ issuerId, from, at: clockGuard.now() }, CONFIRMING, {
    type: 'issuer.switched',
    actor: 'service:ca',
    subject: issuerId,
    data: { issuerId, line, generation, from },
  });
  if (!moved) return;
  issuers.moved();
  log.info(
    { ca: issuerId, operation: 'rotation' },
    `certificates are issued by ${issuerId}, no longer by ${from}`,
  );
}

async function retire(
  deps: MoveDeps,
  { issuerId, line, generation }: IssuerPlace,
  ends: Map<string, number>,
): Promise<void> {
  // By a clock that was set forward every certificate has ended (T15).
  const now = deps.clockGuard.now();
  const after = now - GRACE;
  if ((ends.get(issuerId) ?? 0) >= after) return;
  const last = await deps.retirement.lastNotAfter(issuerId);
  if (last !== undefined && last >= after) return void ends.set(issuerId, last);
  const retired = await deps.retirement.retire(issuerId, after, {
    type: 'issuer.retired',
    actor: 'service:ca',
    subject: issuerId,
    data: { issuerId, line, generation, ...(last === undefined ? {} : { lastNotAfter: last }) },
  });
  // It was superseded within the hour, or one is being signed.
  if (!retired) return void ends.set(issuerId, now);
  ends.delete(issuerId);
  deps.log.info(
    { ca: issuerId, operation: 'rotation' },
    'an issuer has retired: all that it issued has ended',
  );
}
