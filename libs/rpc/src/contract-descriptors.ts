import { DESCRIPTOR } from '@gigvault/proto/descriptor';
import { DESCRIPTOR as PEOPLES } from '@gigvault/proto/keychain/descriptor';
import {
  fromJSON,
  type MethodDefinition,
  type PackageDefinition,
  type ServiceDefinition,
} from '@grpc/proto-loader';
import type { RpcService } from './contracts.ts';

/** Full name of the service that people call. */
export const KEYSTORE = 'keychain.v1.KeystoreService';

/** A method's wire form: path and codec. */
export type RpcMethod = MethodDefinition<object, object>;

let loaded: PackageDefinition | undefined;

/** Every contract of `proto/`, loaded once. */
export function contracts(): PackageDefinition {
  loaded ??= fromJSON(DESCRIPTOR as Parameters<typeof fromJSON>[0], {
    longs: Number,
    defaults: true,
    arrays: true,
    objects: false,
  });
  return loaded;
}

/** What people may call, for reflection: `keychain.v1` and `grpc.health.v1`, with names as the .proto files have them. */
export function contractsOfPeople(): PackageDefinition {
  return fromJSON(PEOPLES as Parameters<typeof fromJSON>[0], { keepCase: true });
}

/** The methods of one service by their names, as `IssueCertificate`. Throws when `proto/` has no such service. */
export function methodsOf(service: RpcService<unknown>): Readonly<Record<string, RpcMethod>> {
  const definition = contracts()[service.fullName];
  if (definition === undefined) throw new Error(`proto/ has no service ${service.fullName}`);
  return definition as ServiceDefinition;
}

/** `IssueCertificate` → `issueCertificate`: the name of a handler or client method. */
export function memberName(methodName: string): string {
  return methodName.charAt(0).toLowerCase() + methodName.slice(1);
}
