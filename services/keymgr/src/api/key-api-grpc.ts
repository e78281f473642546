import type { Credentials } from '@gigvault/access/permissions';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { admit, type Door } from '@gigvault/http/admit';
import { decodeClient } from '@gigvault/http/client-certificates';
import type { CallRequest, CallResponse } from '@gigvault/proto/keymgr/v1/key_api';
import {
  KEYSTORE,
  memberName,
  methodsOf,
  type RpcMethod,
} from '@gigvault/rpc/contract-descriptors';
import { requireWhole } from '@gigvault/rpc/wire-format';
import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type { PersonDeps } from '../keys/require-own-key.ts';
import { KEYSTORE_METHODS } from './keystore-methods.ts';

/** Token of KeyApiDeps. */
export const KEY_API = Symbol('KEY_API');

/** What people's calls need. */
export interface KeyApiDeps {
  readonly people: PersonDeps;
  readonly door: Door;
}

/** keymgr/v1/key_api.proto: keychain.v1.KeystoreService, as its listener hands it on. */
@Controller()
export class KeyApiRpc {
  constructor(@Inject(KEY_API) private readonly deps: KeyApiDeps) {}

  @GrpcMethod('KeyApiService', 'Call')
  async call({ method, request, ...credentials }: CallRequest): Promise<CallResponse> {
    const methods = methodsOf({ fullName: KEYSTORE });
    const contract = Object.hasOwn(methods, method) ? methods[method] : undefined;
    if (contract === undefined)
      throw new GigvaultError('METHOD_NOT_ALLOWED', `${KEYSTORE} has no method ${method}.`);
    const { people, door } = this.deps;
    const { permission, run } =
      KEYSTORE_METHODS[memberName(method) as keyof typeof KEYSTORE_METHODS];
    if (permission === 'anonymous') {
      const answer = await run(people, decoded(contract, request) as never);
      return { response: contract.responseSerialize(answer) };
    }
    const fields = () => decoded(contract, request) as Readonly<Record<string, unknown>>;
    const asked = { permission, operation: method, fields };
    const principal = await admit(door, credentialsOf(credentials), asked);
    const answer = await run(people, decoded(contract, request) as never, principal);
    return { response: contract.responseSerialize(answer) };
  }
}

function credentialsOf(call: Omit<CallRequest, 'method' | 'request'>): Credentials {
  return {
    authorization: call.authorization || undefined,
    apiKey: call.apiKey || undefined,
    clientIp: call.clientIp,
    client: call.client === '' ? undefined : decodeClient(call.client),
  };
}

/** Errors: INVALID_ARGUMENT. */
function decoded(contract: RpcMethod, request: Buffer): object {
  try {
    requireWhole(request);
    return contract.requestDeserialize(request);
  } catch (cause) {
    throw new GigvaultError('INVALID_ARGUMENT', 'The message is not of its type.', { cause });
  }
}
