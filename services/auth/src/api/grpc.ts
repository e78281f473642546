import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type {
  AuthenticateApiKeyRequest,
  AuthenticateApiKeyResponse,
  AuthenticateCertificateRequest,
  AuthenticateCertificateResponse,
  Identity,
  ReportCertificateRequest,
  ReportCertificateResponse,
  ReportCredentialRequest,
  ReportCredentialResponse,
} from '@gigvault/proto/auth/v1/identity';
import type {
  CreateBootstrapCredentialsRequest,
  CreateBootstrapCredentialsResponse,
  GetJwksRequest,
  GetJwksResponse,
} from '@gigvault/proto/auth/v1/token';
import type { CallContext } from '@gigvault/rpc/call';
import type { Metadata } from '@grpc/grpc-js';
import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import { authenticateApiKey } from '../api-keys/authenticate-api-key.ts';
import type { VerifyDeps } from '../api-keys/verify-api-key.ts';
import type { User } from '../ports/user-store.ts';
import {
  type BootstrapDeps,
  createBootstrapCredentials,
} from '../setup/create-bootstrap-credentials.ts';
import { getJwks, type JwksDeps } from '../tokens/get-jwks.ts';
import {
  authenticateCertificate,
  type CertificateDeps,
} from '../users/authenticate-certificate.ts';

/** Provider token of TokenRpc's deps. */
export const TOKEN_RPC = Symbol('TOKEN_RPC');

/** `gigvault.auth.v1.TokenService`. */
@Controller()
export class TokenRpc {
  constructor(@Inject(TOKEN_RPC) private readonly deps: JwksDeps & BootstrapDeps) {}

  @GrpcMethod('TokenService', 'GetJwks')
  getJwks(_request: GetJwksRequest): Promise<GetJwksResponse> {
    return getJwks(this.deps);
  }

  @GrpcMethod('TokenService', 'CreateBootstrapCredentials')
  async createBootstrapCredentials(
    _request: CreateBootstrapCredentialsRequest,
    _metadata: Metadata,
    call: CallContext,
  ): Promise<CreateBootstrapCredentialsResponse> {
    // peers.yaml says the same. What this hands out can do everything, so that it is checked here too.
    if (call.peer !== 'gigvault')
      throw new GigvaultError(
        'FORBIDDEN',
        'Only the composition root may ask for bootstrap credentials.',
      );
    return createBootstrapCredentials(this.deps);
  }
}

/** Provider token of IdentityRpc's deps. */
export const IDENTITY_RPC = Symbol('IDENTITY_RPC');

/** `gigvault.auth.v1.IdentityService`. */
@Controller()
export class IdentityRpc {
  constructor(@Inject(IDENTITY_RPC) private readonly deps: VerifyDeps & CertificateDeps) {}

  @GrpcMethod('IdentityService', 'AuthenticateApiKey')
  async authenticateApiKey(
    request: AuthenticateApiKeyRequest,
    _metadata: Metadata,
    call: CallContext,
  ): Promise<AuthenticateApiKeyResponse> {
    const presented = { ...request, service: call.peer };
    const { key, user } = await authenticateApiKey(this.deps, presented);
    return { identity: toIdentity(user), keyId: key.keyId, expiresAt: key.expiresAt ?? 0 };
  }

  @GrpcMethod('IdentityService', 'AuthenticateCertificate')
  async authenticateCertificate(
    request: AuthenticateCertificateRequest,
    _metadata: Metadata,
    call: CallContext,
  ): Promise<AuthenticateCertificateResponse> {
    const presented = { ...request, service: call.peer };
    return { identity: toIdentity(await authenticateCertificate(this.deps, presented)) };
  }

  @GrpcMethod('IdentityService', 'ReportCertificate')
  async reportCertificate(refused: ReportCertificateRequest): Promise<ReportCertificateResponse> {
    this.deps.failures.recordCertificate(refused);
    return {};
  }

  @GrpcMethod('IdentityService', 'ReportCredential')
  async reportCredential({
    kind,
    clientIp,
  }: ReportCredentialRequest): Promise<ReportCredentialResponse> {
    if (kind !== 'access-token' && kind !== 'api-key')
      throw new GigvaultError('INVALID_ARGUMENT', 'kind is access-token or api-key.');
    this.deps.failures.record(kind, clientIp);
    return {};
  }
}

function toIdentity({ userId, name, roles, tenantId }: User): Identity {
  return { userId, name, roles: [...roles], tenantId };
}
