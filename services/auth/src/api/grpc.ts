import { GigvaultError } from '@gigvault/errors/gigvault-error';
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
import {
  type BootstrapDeps,
  createBootstrapCredentials,
} from '../setup/create-bootstrap-credentials.ts';
import { getJwks, type JwksDeps } from '../tokens/get-jwks.ts';

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
