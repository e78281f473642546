import type {
  AuditService,
  Checkpoint,
  ConsistencyProof,
  GetConsistencyProofRequest,
  GetInclusionProofRequest,
  InclusionProof,
  ListEntriesRequest,
  ListEntriesResponse,
} from '@gigvault/proto/audit/v1/audit';
import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import {
  getCheckpoint,
  getConsistencyProof,
  getInclusionProof,
  type LeafPlace,
  listEntries,
  type ReadDeps,
} from '../proof/read-log.ts';

/** Provider token of ReadDeps. */
export const AUDIT_LOG = Symbol('AUDIT_LOG');

/** See audit/v1/audit.proto. */
@Controller()
export class AuditRpc implements AuditService {
  constructor(@Inject(AUDIT_LOG) private readonly deps: ReadDeps) {}

  @GrpcMethod('AuditService', 'GetCheckpoint')
  getCheckpoint(): Promise<Checkpoint> {
    return getCheckpoint(this.deps);
  }

  @GrpcMethod('AuditService', 'ListEntries')
  async listEntries({ start, limit }: ListEntriesRequest): Promise<ListEntriesResponse> {
    return { entries: await listEntries(this.deps, start, limit) };
  }

  @GrpcMethod('AuditService', 'GetInclusionProof')
  getInclusionProof({
    leafIndex,
    producer,
    position,
  }: GetInclusionProofRequest): Promise<InclusionProof> {
    const place: LeafPlace = producer === '' ? { leafIndex } : { producer, position };
    return getInclusionProof(this.deps, place);
  }

  @GrpcMethod('AuditService', 'GetConsistencyProof')
  async getConsistencyProof({
    first,
    second,
  }: GetConsistencyProofRequest): Promise<ConsistencyProof> {
    return { path: await getConsistencyProof(this.deps, first, second) };
  }
}
