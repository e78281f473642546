import type { ServiceName } from '@gigvault/rpc/service-name';

/**
 * The order in which the services of split mode take their ports: with `--grpc-port 9543`, ca listens on 9543, ra on 9544 and so on;
 * likewise from `--admin-port` and `--metrics-port`. Operators write these ports down: they stay as they are.
 */
export const PORT_ORDER = [
  'ca',
  'ra',
  'keymgr',
  'enroll',
  'ocsp',
  'crl',
  'policy',
  'auth',
  'audit',
  'notify',
] as const satisfies readonly ServiceName[];

/** The edge has one port of this kind, for its metrics. A new service comes after it. */
const PLACES: readonly string[] = [...PORT_ORDER, 'edge'];

/** A process's port, counted from `base`; 0, for a free one, when that is 0. */
export function portOf(base: number, process: ServiceName | 'edge'): number {
  return base === 0 ? 0 : base + PLACES.indexOf(process);
}

/** Where the edge proxy listens: on the configured host, but for the metrics. */
export interface EdgePorts {
  readonly service: 'edge';
  readonly https: number;
  readonly http: number;
  readonly metrics: number;
  /** People's gRPC; absent where it is not configured. */
  readonly keyApi?: number;
}

/** Where one service's process listens, on 127.0.0.1 but for the metrics. */
export interface ServicePorts {
  readonly service: string;
  readonly grpc: number;
  readonly admin: number;
  readonly metrics: number;
}

/** Of any process of split mode. */
export type ProcessPorts = ServicePorts | EdgePorts;
