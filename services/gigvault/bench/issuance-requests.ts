import { generateKeyPairSync, randomUUID } from 'node:crypto';
import type { IssueCertificateRequest } from '@gigvault/proto/ca/v1/issuance';
import type { IssuerService } from '@gigvault/proto/ca/v1/issuer';
import type { Client } from '@gigvault/rpc/call';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';

/** Certification requests are made beforehand: a client's work, not the CA's. */
const REQUESTS = 2_000;

/** Orders for `tls-server` certificates, each with an id of its own; names and keys come round again after REQUESTS. */
export async function issuanceRequests(
  issuers: Client<IssuerService>,
  requester: string,
): Promise<() => IssueCertificateRequest> {
  const { profiles } = await issuers.listProfiles({});
  const profileHash = profiles.find((profile) => profile.name === 'tls-server')!.profileHash;
  const made = Array.from({ length: REQUESTS }, (_, i) => {
    const subjectAltName = [{ type: 'dns' as const, value: `n${i}.example.com` }];
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return {
      subjectAltName,
      certificationRequest: buildCertificationRequest({ privateKey, subject: [], subjectAltName }),
    };
  });
  let next = 0;
  return () => ({
    ...made[next++ % REQUESTS]!,
    requestId: randomUUID(),
    issuerId: 'issuing',
    profile: 'tls-server',
    profileHash,
    commonName: '',
    notBefore: 0,
    notAfter: 0,
    requester,
    tenantId: 'default',
    protocol: 'acme',
  });
}
