import type { Authenticator } from '@gigvault/access/permissions';
import { requirePermission } from '@gigvault/access/require-permission';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { decodeClient } from '@gigvault/http/client-certificates';
import type { CallRequest, CallResponse } from '@gigvault/proto/keymgr/v1/key_api';
import {
  KEYSTORE,
  memberName,
  methodsOf,
  type RpcMethod,
} from '@gigvault/rpc/contract-descriptors';
import { requireWhole } from '@gigvault/rpc/wire-format';
import { currentCorrelation } from '@gigvault/telemetry/correlation';
import { Controller, Inject } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import type { PersonDeps } from '../keys/require-own-key.ts';
import { KEYSTORE_METHODS } from './keystore-methods.ts';
import { tellForbidden } from './tell-forbidden.ts';

/** Token of KeyApiDeps. */
export const KEY_API = Symbol('KEY_API');

/** What people's calls need. */
export interface KeyApiDeps {
  readonly people: PersonDeps;
  readonly authenticator: Authenticator;
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
    const { people, authenticator } = this.deps;
    const { permission, run } =
      KEYSTORE_METHODS[memberName(method) as keyof typeof KEYSTORE_METHODS];
    if (permission === 'anonymous') {
      const answer = await run(people, decoded(contract, request) as never);
      return { response: contract.responseSerialize(answer) };
    }
    const principal = await authenticator.authenticate({
      authorization: credentials.authorization || undefined,
      apiKey: credentials.apiKey || undefined,
      clientIp: credentials.clientIp,
      client: credentials.client === '' ? undefined : decodeClient(credentials.client),
    });
    const correlation = currentCorrelation();
    if (correlation) correlation.actor = principal.actor;
    if (!principal.permissions.has(permission)) {
      const { keyId } = decoded(contract, request) as { readonly keyId?: unknown };
      await tellForbidden(people, principal, { permission, operation: method, keyId });
    }
    requirePermission(principal, permission);
    const answer = await run(people, decoded(contract, request) as never, principal);
    return { response: contract.responseSerialize(answer) };
  }
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
