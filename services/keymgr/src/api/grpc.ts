import type {
  GenerateKeyRequest,
  GetKeyRequest,
  Key,
  ListKeysRequest,
  ListKeysResponse,
  RequestSuccessorRequest,
  RequestSuccessorResponse,
} from '@gigvault/proto/keymgr/v1/key';
import type {
  CloseSigningRequest,
  CloseSigningResponse,
  SignBatchRequest,
  SignBatchResponse,
  SignListPartRequest,
  SignListPartResponse,
  SignRequest,
  SignResponse,
} from '@gigvault/proto/keymgr/v1/signing';
import type { CallContext } from '@gigvault/rpc/call';
import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import { requestSuccessor } from '../ca-keys/request-successor.ts';
import { generateServiceKey } from '../creation/generate-key.ts';
import { getKey, listKeys } from '../keys/find-keys.ts';
import type { KeyDeps } from '../keys/key-deps.ts';
import type { RefusalDeps } from '../keys/refuse-use.ts';
import type { StoredKey } from '../keys/stored-key.ts';
import { closeSigning } from '../signing/close-signing.ts';
import { sign } from '../signing/sign.ts';
import { signBatch } from '../signing/sign-batch.ts';
import { type SignListDeps, signListPart } from '../signing/sign-list.ts';

/** Token of KeyDeps and RefusalDeps. */
export const KEYS = Symbol('KEYS');
/** Token of SignListDeps. */
export const SIGNING = Symbol('SIGNING');

/** keymgr/v1/key.proto. */
@Controller()
export class KeyRpc {
  constructor(@Inject(KEYS) private readonly deps: KeyDeps & RefusalDeps) {}

  @GrpcMethod('KeyService', 'GenerateKey')
  async generateKey(
    request: GenerateKeyRequest,
    _metadata: unknown,
    call: CallContext,
  ): Promise<Key> {
    return toMessage(await generateServiceKey(this.deps, request, call.peer));
  }

  @GrpcMethod('KeyService', 'RequestSuccessor')
  async requestSuccessor(
    request: RequestSuccessorRequest,
    _metadata: unknown,
    call: CallContext,
  ): Promise<RequestSuccessorResponse> {
    const successor = await requestSuccessor(this.deps, request, call.peer);
    return { ...successor, key: toMessage(successor.key) };
  }

  @GrpcMethod('KeyService', 'GetKey')
  async getKey(request: GetKeyRequest): Promise<Key> {
    return toMessage(await getKey(this.deps, request.keyId));
  }

  @GrpcMethod('KeyService', 'ListKeys')
  async listKeys(
    request: ListKeysRequest,
    _metadata: unknown,
    call: CallContext,
  ): Promise<ListKeysResponse> {
    const page = { ...request, actor: `service:${call.peer}` };
    const { items, nextCursor } = await listKeys(this.deps, page);
    return { items: items.map(toMessage), nextCursor };
  }
}

/** keymgr/v1/signing.proto. */
@Controller()
export class KeySigningRpc {
  constructor(@Inject(SIGNING) private readonly deps: SignListDeps) {}

  @GrpcMethod('KeySigningService', 'Sign')
  async sign(request: SignRequest, _metadata: unknown, call: CallContext): Promise<SignResponse> {
    return { signature: await sign(this.deps, request, call.peer) };
  }

  @GrpcMethod('KeySigningService', 'SignBatch')
  async signBatch(
    request: SignBatchRequest,
    _metadata: unknown,
    call: CallContext,
  ): Promise<SignBatchResponse> {
    return { items: await signBatch(this.deps, request.items, call.peer) };
  }

  @GrpcMethod('KeySigningService', 'SignListPart')
  async signListPart(
    request: SignListPartRequest,
    _metadata: unknown,
    call: CallContext,
  ): Promise<SignListPartResponse> {
    return { signature: await signListPart(this.deps, request, call.peer) };
  }

  @GrpcMethod('KeySigningService', 'CloseSigning')
  closeSigning(
    request: CloseSigningRequest,
    _metadata: unknown,
    call: CallContext,
  ): Promise<CloseSigningResponse> {
    return closeSigning(this.deps, request.intentId, call.peer);
  }
}

function toMessage(key: StoredKey): Key {
  return {
    keyId: key.keyId,
    keyType: key.keyType,
    subjectPublicKeyInfo: key.publicKey?.spki ?? Buffer.alloc(0),
    state: key.state,
    createdAt: key.createdAt,
    purposes: [...key.purposes],
    callers: [...key.callers],
    backend: key.backend,
  };
}
