import { type IdentityFiles, readIdentity } from '@gigvault/host/identity-files';
import type { IssuanceService } from '@gigvault/proto/ca/v1/issuance';
import type { IssuerService } from '@gigvault/proto/ca/v1/issuer';
import type { Client } from '@gigvault/rpc/call';
import { RPC } from '@gigvault/rpc/contracts';
import { createGrpcClients } from '@gigvault/rpc/grpc-client';
import { createMtlsIdentity } from '@gigvault/rpc/mtls-identity';
import { issuanceRequests } from './issuance-requests.ts';
import type { Load } from './loads.ts';

/** Where `ca` is, and as whom it is asked. */
export interface IssuanceSetup {
  readonly trustDomain: string;
  /** Of the peer `ra`. */
  readonly identity: IdentityFiles;
  /** `host:port` of `ca`. */
  readonly address: string;
}

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
  const nextRequest = await issuanceRequests(issuers, 'acme:bench');
  return async () => {
    await issuance.issueCertificate(nextRequest());
  };
}
