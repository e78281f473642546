import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { type IdentityFiles, readIdentity } from '@gigvault/host/identity-files';
import type { IssuanceService } from '@gigvault/proto/ca/v1/issuance';
import type { IssuerService } from '@gigvault/proto/ca/v1/issuer';
import type { Client } from '@gigvault/rpc/call';
import { RPC } from '@gigvault/rpc/contracts';
import { createGrpcClients } from '@gigvault/rpc/grpc-client';
import { createMtlsIdentity } from '@gigvault/rpc/mtls-identity';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import type { Load } from './loads.ts';

/** Where `ca` is, and as whom it is asked. */
export interface IssuanceSetup {
  readonly trustDomain: string;
  /** Of the peer `ra`. */
  readonly identity: IdentityFiles;
  /** `host:port` of `ca`. */
  readonly address: string;
}

/** Certification requests are made beforehand: a client's work, not the CA's. */
const REQUESTS = 2_000;

/** CSR to durable certificate through `ca`'s API over mTLS gRPC. */
export async function issuanceLoad(setup: IssuanceSetup): Promise<Load> {
  const identity = createMtlsIdentity('ra', setup.trustDomain, readIdentity(setup.identity));
  const clients = createGrpcClients(identity, { ca: setup.address });
  return {
    prepare: async () => undefined,
    operation: await issueFrom(
      clients.client(RPC.issuance, 'ca'),
      clients.client(RPC.issuer, 'ca'),
    ),
  };
}

/** An operation that has one certificate issued. */
export async function issueFrom(
  issuance: Client<IssuanceService>,
  issuers: Client<IssuerService>,
): Promise<() => Promise<void>> {
  const { profiles } = await issuers.listProfiles({});
  const profileHash = profiles.find((profile) => profile.name === 'tls-server')?.profileHash ?? '';
  const requests = Array.from({ length: REQUESTS }, (_, i) => {
    const subjectAltName = [{ type: 'dns' as const, value: `n${i}.example.com` }];
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return {
      subjectAltName,
      certificationRequest: buildCertificationRequest({ privateKey, subject: [], subjectAltName }),
    };
  });
  let next = 0;
  return async () => {
    const request = requests[next++ % REQUESTS] as (typeof requests)[number];
    await issuance.issueCertificate({
      ...request,
      requestId: randomUUID(),
      issuerId: 'issuing',
      profile: 'tls-server',
      profileHash,
      commonName: '',
      notBefore: 0,
      notAfter: 0,
      requester: 'acme:bench',
      tenantId: 'default',
      protocol: 'acme',
    });
  };
}
