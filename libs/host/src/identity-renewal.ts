import { generateKeyPairSync, randomUUID } from 'node:crypto';
import type { CertificateService } from '@gigvault/proto/ca/v1/certificate';
import type { IssuanceService } from '@gigvault/proto/ca/v1/issuance';
import type { Client } from '@gigvault/rpc/call';
import { isRenewalDue, type MtlsIdentity, type MtlsMaterial } from '@gigvault/rpc/mtls-identity';
import { type PeerName, spiffeId } from '@gigvault/rpc/service-name';
import { failureLog, type Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import { periodic, type Worker } from '@gigvault/time/worker';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import { toPem } from '@gigvault/x509/pem';
import { type IdentityFiles, storeIdentity } from './identity-files.ts';
import { isRevoked } from './own-certificate.ts';
import { LOOK_INTERVAL, renewalPause } from './renewal-pause.ts';

/** Issues a fresh mTLS identity for the caller of `issuance`: new key, certificate of the `services` CA. */
export async function requestIdentity(
  issuance: Client<IssuanceService>,
  peer: PeerName,
  trustDomain: string,
): Promise<Omit<MtlsMaterial, 'servicesCa'>> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certificationRequest = buildCertificationRequest({
    privateKey,
    subject: [],
    subjectAltName: [{ type: 'uri', value: spiffeId(trustDomain, peer) }],
  });
  const issued = await issuance.issueInternalCertificate({
    requestId: randomUUID(),
    profile: 'service',
    issuerId: 'services',
    certificationRequest,
  });
  return {
    certificate: toPem('CERTIFICATE', issued.certificate),
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  };
}

/**
 * Renews a peer's identity once two thirds of its life are over, when it is not valid yet, and within a minute of its revocation, always with a new key;
 * connections in flight go on (requirement G88).
 */
export function identityRenewal(options: {
  readonly identity: MtlsIdentity;
  readonly files: IdentityFiles;
  readonly issuance: Client<IssuanceService>;
  readonly certificates: Client<CertificateService>;
  readonly clock: Clock;
  readonly log: Log;
}): Worker {
  const { identity, clock } = options;
  const log = options.log.child({ operation: 'identity-renewal' });
  const failures = failureLog(
    log,
    'service certificate could not be renewed',
    'service certificate is looked after again',
  );
  return periodic({
    name: `${identity.peer}.identity-renewal`,
    clock,
    interval: LOOK_INTERVAL,
    async round() {
      const current = identity.current();
      const due = isRenewalDue(current.certificate, clock.now());
      const revoked =
        !due && (await isRevoked(options.certificates, 'services', current.certificate));
      if (!due && !revoked) {
        failures.worked();
        return renewalPause(clock, current.certificate);
      }
      const material = await requestIdentity(options.issuance, identity.peer, identity.trustDomain);
      await storeIdentity(options.files, material);
      identity.replace({ servicesCa: current.servicesCa, ...material });
      failures.worked();
      if (revoked) log.warn({}, 'service certificate was revoked; it has a new key now');
      else log.info({}, 'service certificate renewed');
      return renewalPause(clock, material.certificate);
    },
    onError: (error) => failures.failed('warn', error),
  });
}
