import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { IssueNoncesRequest, IssueNoncesResponse } from '@gigvault/proto/enroll/v1/nonce';
import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type { NoncePool } from '../nonce/nonce-pool.ts';

/** Provider token of the NoncePool. */
export const NONCE_POOL = Symbol('NONCE_POOL');

const MOST = 1_000;

/** gigvault.enroll.v1.NonceService. */
@Controller()
export class NonceRpc {
  private readonly nonces: NoncePool;

  constructor(@Inject(NONCE_POOL) nonces: NoncePool) {
    this.nonces = nonces;
  }

  /** Each may be redeemed once, as if it had come with an answer. */
  @GrpcMethod('NonceService', 'IssueNonces')
  async issueNonces({ count }: IssueNoncesRequest): Promise<IssueNoncesResponse> {
    if (count < 1 || count > MOST)
      throw new GigvaultError('INVALID_ARGUMENT', `count is 1 to ${MOST}.`);
    return { nonces: Array.from({ length: count }, () => this.nonces.issue()) };
  }
}
