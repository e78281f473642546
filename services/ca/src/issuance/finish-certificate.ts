import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { ClockGuard } from '@gigvault/time/clock-guard';
import { assembleSigned } from '@gigvault/x509/certificate';
import { REASON_CODE } from '@gigvault/x509/reason-code';
import { verifySignatureOffLoop } from '@gigvault/x509/signature';
import type { Issuer, IssuerRegistry } from '../issuers/issuer-registry.ts';
import type { Intent, IntentStore } from '../ports/intent-store.ts';
import { abandonedEvent, issuedEvent } from './issuance-events.ts';

/** What finishing needs. */
export interface FinishDeps {
  readonly issuers: IssuerRegistry;
  readonly intents: IntentStore;
  readonly clockGuard: ClockGuard;
}

/**
 * Step 9: verifies the signature over exactly the intended bytes, and makes the certificate durable.
 * The same for the flow, for a retry and for the reconciler: whoever comes second finds the same certificate.
 * A signature that does not verify gives the intent up (fault T13). Errors: KEY_UNAVAILABLE then; UNAVAILABLE.
 */
export async function finishCertificate(
  deps: FinishDeps,
  intent: Intent,
  signature: Buffer,
): Promise<Buffer> {
  const issuer = await deps.issuers.get(intent.issuerId);
  if (!(await isSignedBy(issuer, intent.tbs, signature))) {
    await abandonIntent(deps, intent, 'the signature does not verify');
    throw new GigvaultError(
      'KEY_UNAVAILABLE',
      'The key gave a wrong signature; nothing was issued.',
      {
        details: { issuerId: intent.issuerId },
      },
    );
  }
  const certificate = assembleSigned(intent.tbs, issuer.signatureAlgorithm, signature);
  const stored = await deps.intents.complete(intent, certificate, issuedEvent(intent, certificate));
  if (stored) return certificate;
  // Signed and tombstoned at once, or finished with other bytes: keymgr broke its promise.
  throw new GigvaultError('INTERNAL', 'The certificate could not be stored.', {
    cause: new Error(`intent ${intent.intentId} was closed with another outcome`),
  });
}

/** Gives an open intent up: its serial number counts as issued and revoked from now on. */
export async function abandonIntent(deps: FinishDeps, intent: Intent, why: string): Promise<void> {
  // Another serial number takes the place of one that was given up.
  const revocation = { at: deps.clockGuard.believed(), reasonCode: REASON_CODE.superseded };
  await deps.intents.abandon(intent, revocation, abandonedEvent(intent, revocation, why));
}

function isSignedBy(issuer: Issuer, tbs: Buffer, signature: Buffer): Promise<boolean> {
  const { keyObject } = issuer.certificate.publicKey;
  return verifySignatureOffLoop(keyObject, issuer.signatureAlgorithm, tbs, signature);
}
