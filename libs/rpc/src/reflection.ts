import type {
  handleBidiStreamingCall,
  Server,
  ServiceDefinition,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';

type Version = readonly [ServiceDefinition, UntypedServiceImplementation];

/**
 * Serves `grpc.reflection`, v1 and v1alpha, for these contracts. Their index takes longer than most else of a start, and hardly anybody
 * asks: it is made at the first question.
 */
export function addReflection(server: Server, contracts: () => PackageDefinition): void {
  let indexed: readonly Version[] | undefined;
  for (const [version, [definition, empty]] of versionsOf({}).entries()) {
    const answer =
      (method: string): handleBidiStreamingCall<object, object> =>
      (call) => {
        indexed ??= versionsOf(contracts());
        const handle = indexed[version]![1][method] as handleBidiStreamingCall<object, object>;
        handle(call);
      };
    const methods = Object.keys(empty).map((method) => [method, answer(method)]);
    server.addService(definition, Object.fromEntries(methods));
  }
}

function versionsOf(contracts: PackageDefinition): Version[] {
  const versions: Version[] = [];
  new ReflectionService(contracts).addToServer({
    addService: (...version) => void versions.push(version),
  });
  return versions;
}
