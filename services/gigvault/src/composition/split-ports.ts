import type { ServiceName } from '@gigvault/rpc/service-name';

/**
 * The order in which the services of split mode take their ports: with `--grpc-port 9443`, ca listens on 9443, ra on 9444 and so on;
 * likewise from `--admin-port` and `--metrics-port`. Operators write these ports down: a new service comes last.
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

/** A service's port, counted from `base`; 0, for a free one, when that is 0. */
export function portOf(base: number, service: ServiceName): number {
  return base === 0 ? 0 : base + PORT_ORDER.indexOf(service);
}

/** Where the edge proxy listens, on the configured host. */
export interface EdgePorts {
  readonly service: 'edge';
  readonly https: number;
  readonly http: number;
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
