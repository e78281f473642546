import { hash } from 'node:crypto';
import type { CaEvent } from '../ports/event.ts';
import type { Intent } from '../ports/intent-store.ts';

/** What every event of a certificate says of it. */
function about(intent: Intent) {
  return {
    intentId: intent.intentId,
    requestId: intent.requestId,
    issuerId: intent.issuerId,
    serialNumber: intent.serialNumber,
    profile: intent.profile,
    names: intent.names,
    commonName: intent.commonName,
    requester: intent.requester,
    tenantId: intent.tenantId,
    protocol: intent.protocol,
    notBefore: intent.notBefore,
    notAfter: intent.notAfter,
    crlShard: intent.crlShard,
  };
}

/** Written with the intent: what is about to be signed, for whom. */
export function intendedEvent(intent: Intent): CaEvent {
  return {
    type: 'certificate.intended',
    actor: intent.requester,
    subject: intent.serialNumber,
    data: {
      ...about(intent),
      profileHash: intent.profileHash,
      spkiSha256: intent.spkiSha256,
      tbsSha256: hash('sha256', intent.tbs, 'hex'),
    },
  };
}

/** Written with the certificate. */
export function issuedEvent(intent: Intent, certificate: Buffer): CaEvent {
  return {
    type: 'certificate.issued',
    actor: intent.requester,
    subject: intent.serialNumber,
    data: { ...about(intent), certificateSha256: hash('sha256', certificate, 'hex') },
  };
}

/** Written when an intent is given up: the serial number counts as issued and revoked. */
export function abandonedEvent(
  intent: Intent,
  revocation: { at: number; reasonCode: number },
  why: string,
): CaEvent {
  return {
    type: 'certificate.abandoned',
    actor: 'service:ca',
    subject: intent.serialNumber,
    data: {
      ...about(intent),
      revokedAt: revocation.at,
      reasonCode: revocation.reasonCode,
      why,
    },
  };
}
