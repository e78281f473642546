import type { GigvaultConfig } from '../gigvault.config.ts';

const INTERNAL = 9543;
const KEY_API = ':9443';
/** As `grpc.address`: no listener. */
const NOWHERE = 'off';

type PortConfig = Pick<GigvaultConfig, 'grpc' | 'host'>;

/** Of mTLS gRPC between services; in split mode the first of theirs. */
export function internalGrpcPort({ grpc }: Pick<PortConfig, 'grpc'>): number {
  return grpc.port ?? INTERNAL;
}

/** Where people's gRPC listens; undefined: nowhere. A configuration that says where services listen was written before there was another listener. */
export function keyApiAddress({
  grpc,
  host,
}: PortConfig): { readonly host: string; readonly port: number } | undefined {
  const address = grpc.address ?? (grpc.port === undefined ? KEY_API : undefined);
  if (address === undefined || address === NOWHERE) return undefined;
  const colon = address.lastIndexOf(':');
  const named = address.slice(0, colon).replace(/^\[|\]$/g, '');
  return { host: named || host, port: Number(address.slice(colon + 1)) };
}
