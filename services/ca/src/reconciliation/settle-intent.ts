import {
  abandonIntent,
  type FinishDeps,
  finishCertificate,
} from '../issuance/finish-certificate.ts';
import type { Intent } from '../ports/intent-store.ts';
import type { Signer } from '../ports/signer.ts';

/** What settling needs. */
export interface SettleDeps extends FinishDeps {
  readonly signer: Signer;
}

/**
 * Ends an open intent whose signing has an unknown result. keymgr closes the signing first: with the recorded signature
 * the certificate is finished, otherwise the intent is given up and can never be signed. Safe to run twice at once.
 * Returns the certificate, or undefined when the intent was given up.
 * Errors: UNAVAILABLE, KEY_UNAVAILABLE, DEADLINE_EXCEEDED; the intent stays open then.
 */
export async function settleIntent(deps: SettleDeps, intent: Intent): Promise<Buffer | undefined> {
  const closed = await deps.signer.close(intent.intentId);
  if ('signature' in closed) return finishCertificate(deps, intent, closed.signature);
  await abandonIntent(deps, intent, 'the signing was closed before a signature was made');
  return undefined;
}
