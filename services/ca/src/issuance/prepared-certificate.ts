import { randomUUID } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { formatGeneralName } from '@gigvault/x509/general-name';
import { lintTbsCertificate } from '@gigvault/x509/lint';
import { newSerialNumber } from '@gigvault/x509/serial-number';
import type { Issuer } from '../issuers/issuer-registry.ts';
import type { Intent } from '../ports/intent-store.ts';
import type { SigningOrder } from '../ports/signer.ts';
import type { CheckedOrder } from './check-order.ts';

/** Linted to-be-signed bytes. They can be signed once: nothing else makes a SigningOrder, and `take` works one time. */
export interface PreparedCertificate {
  readonly issuer: Issuer;
  /** What has to be durable before `take`. */
  readonly intent: Intent;
  /** Errors: INTERNAL the second time. */
  take(): SigningOrder;
}

/**
 * Step 6: builds the tbsCertificate under a new serial number and lints it.
 * Errors: LINT_FAILED with one problem for each finding; nothing has been written or signed then.
 */
export function prepareCertificate(order: CheckedOrder, now: number): PreparedCertificate {
  const { issuer, profile } = order;
  const serialNumber = newSerialNumber();
  const crlShard = shardOf(serialNumber, issuer.record.crlShards);
  const tbs = issuer.templateFor(profile.certificate).build({ ...order, serialNumber, crlShard });
  refuseFindings(tbs, order);
  const intent: Intent = {
    intentId: randomUUID(),
    requestId: order.requestId,
    issuerId: issuer.record.issuerId,
    serialNumber,
    profile: profile.name,
    profileHash: profile.hash,
    tbs,
    commonName: order.commonName,
    names: order.subjectAltName.map(formatGeneralName),
    requester: order.requester,
    tenantId: order.tenantId,
    protocol: order.protocol,
    notBefore: order.notBefore,
    notAfter: order.notAfter,
    spkiSha256: order.publicKey.spkiSha256,
    crlShard,
    createdAt: now,
  };
  return oneShot(issuer, intent);
}

function oneShot(issuer: Issuer, intent: Intent): PreparedCertificate {
  let taken = false;
  return {
    issuer,
    intent,
    take() {
      if (taken) throw new GigvaultError('INTERNAL', 'A prepared certificate is signed once.');
      taken = true;
      const { intentId, tbs } = intent;
      return { keyId: issuer.record.keyId, intentId, tbs } as SigningOrder;
    },
  };
}

function refuseFindings(tbs: Buffer, { issuer, profile, publicKey }: CheckedOrder): void {
  const findings = lintTbsCertificate(tbs, {
    issuer: issuer.certificate,
    profile: profile.certificate,
    publicKey,
  });
  if (findings.length === 0) return;
  throw new GigvaultError(
    'LINT_FAILED',
    'The certificate would break a rule; nothing was signed.',
    {
      problems: findings.map(({ rule, source, message }) => ({
        pointer: `/${rule}`,
        message: `${message} (${source})`,
      })),
    },
  );
}

/** Spreads certificates evenly: the last octets of a serial number are random. */
function shardOf(serialNumber: string, crlShards: number): number {
  return Number.parseInt(serialNumber.slice(-8), 16) % crlShards;
}
