import type {
  Certificate,
  GetCertificateRequest,
  GetCertificateStatusRequest,
  GetCertificateStatusResponse,
  ListCertificatesRequest,
  ListCertificatesResponse,
} from '@gigvault/proto/ca/v1/certificate';
import type {
  CheckIssuanceResponse,
  IssueCertificateRequest,
  IssuedCertificate,
  IssueInternalCertificateRequest,
} from '@gigvault/proto/ca/v1/issuance';
import type {
  ConfirmIssuerRequest,
  ConfirmIssuerResponse,
  CreateIssuerRequest,
  Issuer,
  ListIssuersRequest,
  ListIssuersResponse,
  ListProfilesRequest,
  ListProfilesResponse,
} from '@gigvault/proto/ca/v1/issuer';
import type {
  RevokeCertificateRequest,
  RevokeCertificateResponse,
} from '@gigvault/proto/ca/v1/revocation';
import type { CallContext } from '@gigvault/rpc/call';
import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import { type CertificateDeps, getCertificate } from '../certificates/get-certificate.ts';
import { getCertificateStatus } from '../certificates/get-certificate-status.ts';
import { listCertificates } from '../certificates/list-certificates.ts';
import { checkIssuance } from '../issuance/check-issuance.ts';
import { issueCertificate } from '../issuance/issue-certificate.ts';
import {
  type IssueInternalDeps,
  issueInternalCertificate,
} from '../issuance/issue-internal-certificate.ts';
import type { ProfileTable } from '../issuance/profile-table.ts';
import { type CreateIssuerDeps, createIssuer } from '../issuers/create-issuer.ts';
import { listIssuers, listProfiles } from '../issuers/list-issuers.ts';
import { requireOwnActor } from '../revocation/revocation-actor.ts';
import { type RevokeDeps, revokeCertificate } from '../revocation/revoke-certificate.ts';
import type { BeginDeps } from '../rotation/begin-rotation.ts';
import { confirmIssuer, type MoveDeps } from '../rotation/move-issuers.ts';

/** Everything that the handlers call. */
export interface CaDeps {
  readonly issuance: IssueInternalDeps;
  readonly revocation: RevokeDeps;
  readonly certificates: CertificateDeps;
  readonly issuers: CreateIssuerDeps;
  readonly rotation: BeginDeps & Pick<MoveDeps, 'rotation'>;
  /** An issuer may have to be moved. */
  readonly issuersWait: () => void;
  readonly profiles: ProfileTable;
}

/** Provider token of CaDeps. */
export const CA_DEPS = Symbol('CA_DEPS');

/** See ca/v1/issuance.proto. */
@Controller()
export class IssuanceRpc {
  constructor(@Inject(CA_DEPS) private readonly deps: CaDeps) {}

  /** Public profiles only: an enrolment cannot name an internal one. */
  @GrpcMethod('IssuanceService', 'IssueCertificate')
  issueCertificate(request: IssueCertificateRequest): Promise<IssuedCertificate> {
    return issueCertificate(this.deps.issuance, { ...request, internal: false });
  }

  /** Public profiles only, as IssueCertificate. */
  @GrpcMethod('IssuanceService', 'CheckIssuance')
  async checkIssuance(request: IssueCertificateRequest): Promise<CheckIssuanceResponse> {
    await checkIssuance(this.deps.issuance, { ...request, internal: false });
    return {};
  }

  /** For the calling peer. */
  @GrpcMethod('IssuanceService', 'IssueInternalCertificate')
  issueInternalCertificate(
    request: IssueInternalCertificateRequest,
    _metadata: unknown,
    call: CallContext,
  ): Promise<IssuedCertificate> {
    return issueInternalCertificate(this.deps.issuance, request, call.peer);
  }
}

/** See ca/v1/revocation.proto. */
@Controller()
export class RevocationRpc {
  constructor(@Inject(CA_DEPS) private readonly deps: CaDeps) {}

  /** The caller has authorised `actor`. */
  @GrpcMethod('RevocationService', 'RevokeCertificate')
  revokeCertificate(
    request: RevokeCertificateRequest,
    _metadata: unknown,
    call: CallContext,
  ): Promise<RevokeCertificateResponse> {
    requireOwnActor(request.actor, call.peer);
    return revokeCertificate(this.deps.revocation, request);
  }
}

/** See ca/v1/certificate.proto. */
@Controller()
export class CertificateRpc {
  constructor(@Inject(CA_DEPS) private readonly deps: CaDeps) {}

  /** One certificate. */
  @GrpcMethod('CertificateService', 'GetCertificate')
  getCertificate(request: GetCertificateRequest): Promise<Certificate> {
    return getCertificate(this.deps.certificates, request);
  }

  /** A page. */
  @GrpcMethod('CertificateService', 'ListCertificates')
  listCertificates(request: ListCertificatesRequest): Promise<ListCertificatesResponse> {
    return listCertificates(this.deps.certificates, request);
  }

  /** For ocsp. */
  @GrpcMethod('CertificateService', 'GetCertificateStatus')
  async getCertificateStatus(
    request: GetCertificateStatusRequest,
  ): Promise<GetCertificateStatusResponse> {
    return { statuses: await getCertificateStatus(this.deps.certificates, request) };
  }
}

/** See ca/v1/issuer.proto. */
@Controller()
export class IssuerRpc {
  constructor(@Inject(CA_DEPS) private readonly deps: CaDeps) {}

  /** Every issuer. */
  @GrpcMethod('IssuerService', 'ListIssuers')
  async listIssuers(_request: ListIssuersRequest): Promise<ListIssuersResponse> {
    return { issuers: await listIssuers(this.deps.issuers.issuers) };
  }

  /** Every profile. */
  @GrpcMethod('IssuerService', 'ListProfiles')
  async listProfiles(_request: ListProfilesRequest): Promise<ListProfilesResponse> {
    return { profiles: listProfiles(this.deps.profiles) };
  }

  /** The event names the calling peer as actor. */
  @GrpcMethod('IssuerService', 'CreateIssuer')
  createIssuer(
    request: CreateIssuerRequest,
    _metadata: unknown,
    call: CallContext,
  ): Promise<Issuer> {
    return createIssuer(this.deps.issuers, request, `service:${call.peer}`);
  }

  /** For the calling peer. */
  @GrpcMethod('IssuerService', 'ConfirmIssuer')
  async confirmIssuer(
    request: ConfirmIssuerRequest,
    _metadata: unknown,
    call: CallContext,
  ): Promise<ConfirmIssuerResponse> {
    await confirmIssuer(this.deps.rotation, request.issuerId, call.peer);
    this.deps.issuersWait();
    return {};
  }
}
