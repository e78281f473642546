import { DESCRIPTOR_SET } from '@gigvault/proto/descriptor';
import {
  loadFileDescriptorSetFromBuffer,
  type MethodDefinition,
  type PackageDefinition,
  type ServiceDefinition,
} from '@grpc/proto-loader';
import type { RpcService } from './contracts.ts';

/** A method's wire form: path and codec. */
export type RpcMethod = MethodDefinition<object, object>;

let loaded: PackageDefinition | undefined;

/** Every contract of `proto/`, loaded once. */
export function contracts(): PackageDefinition {
  loaded ??= loadFileDescriptorSetFromBuffer(Buffer.from(DESCRIPTOR_SET, 'base64'), {
    longs: Number,
    defaults: true,
    arrays: true,
    objects: false,
  });
  return loaded;
}

/** The methods of one service by their names, as `IssueCertificate`. Throws when `proto/` has no such service. */
export function methodsOf(service: RpcService<never>): Readonly<Record<string, RpcMethod>> {
  const definition = contracts()[service.fullName];
  if (definition === undefined) throw new Error(`proto/ has no service ${service.fullName}`);
  return definition as ServiceDefinition;
}

/** `IssueCertificate` → `issueCertificate`: the name of a handler or client method. */
export function memberName(methodName: string): string {
  return methodName.charAt(0).toLowerCase() + methodName.slice(1);
}
