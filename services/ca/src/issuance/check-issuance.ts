import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { IntentStore } from '../ports/intent-store.ts';
import type { IssuanceObserver } from '../ports/observer.ts';
import { type CheckDeps, checkOrder } from './check-order.ts';
import type { IssuanceOrder } from './issuance-order.ts';
import { prepareCertificate } from './prepared-certificate.ts';

/** What checking needs. */
export interface CheckIssuanceDeps extends CheckDeps {
  readonly intents: Pick<IntentStore, 'isKeyBlocked'>;
  readonly observer: Pick<IssuanceObserver, 'refused'>;
}

/**
 * Refuses an order that issueCertificate would refuse for its own sake, and keeps nothing: so that a protocol can refuse it
 * while its client can still send another. Issuing checks everything again. A refusal is counted: no issuance follows it.
 * Errors: those of checkOrder and prepareCertificate; BAD_PUBLIC_KEY for a key of a CA or one that was reported compromised (T29).
 */
export async function checkIssuance(deps: CheckIssuanceDeps, order: IssuanceOrder): Promise<void> {
  try {
    const { intent } = prepareCertificate(await checkOrder(deps, order), deps.clock.now());
    if (await deps.intents.isKeyBlocked(intent.spkiSha256)) throw blockedKey();
  } catch (error) {
    deps.observer.refused(error);
    throw error;
  }
}

/** The refusal of a key that is in the table `blocked_key`. */
export function blockedKey(): GigvaultError {
  return new GigvaultError(
    'BAD_PUBLIC_KEY',
    'This key belongs to a CA or was reported compromised.',
  );
}
