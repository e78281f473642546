import type { Clock } from '@gigvault/time/clock';
import type { ServedCrl, ServedCrls } from './served-crls.ts';

/** The share of a CRL's life after which nobody renewing it is an alarm (T58). The root's is made by people, offline. */
const ALARM_AT = 0.5;
const ROOT_ALARM_AT = 0.9;

/** Throws when a shard has no CRL, as after its CA was made. */
export function checkPublished(served: ServedCrls): void {
  const [first] = served.overview().missing;
  if (first) throw new Error(`CRL ${first.crlShard} of ${first.issuerId} is not published yet`);
}

/** Throws when a CRL that another is to follow has passed half of its life. */
export function checkFreshness(served: ServedCrls, clock: Clock): void {
  const stale = served.overview().renewed.find((crl) => clock.now() > alarmAt(crl));
  if (stale) {
    const end = new Date(stale.nextUpdate).toISOString();
    throw new Error(
      `CRL ${stale.crlShard} of ${stale.issuerId} is not renewed; its nextUpdate is ${end}`,
    );
  }
}

function alarmAt({ issuerId, thisUpdate, nextUpdate }: ServedCrl): number {
  const share = issuerId === 'root' ? ROOT_ALARM_AT : ALARM_AT;
  return thisUpdate + (nextUpdate - thisUpdate) * share;
}
