import type { ServiceName } from '@gigvault/rpc/service-name';
import type { Listener } from './route.ts';

/** Which service serves a public path. The first row whose method and prefix fit decides. */
export interface RouteRow {
  readonly listener: Listener;
  /** Only this method; every method when absent. */
  readonly method?: 'POST' | 'GET';
  /** Whole path segments; `exact` rows fit this path only. */
  readonly prefix: string;
  readonly exact?: boolean;
  readonly service: ServiceName;
}

/** Where the REST API is mounted; the second is an alias (requirement X21). */
export const API_MOUNTS = ['/service/api/v1', '/api/v1'] as const;

const API: readonly Omit<RouteRow, 'listener'>[] = [
  // Asking for a certificate is an enrolment: the RA judges it before the CA hears of it.
  { method: 'POST', prefix: '/certificates', exact: true, service: 'ra' },
  { prefix: '/certificates', service: 'ca' },
  { prefix: '/issuers', service: 'ca' },
  { prefix: '/csrs', service: 'ra' },
  { prefix: '/keys', service: 'keymgr' },
  { prefix: '/backends', service: 'keymgr' },
  { prefix: '/audit', service: 'audit' },
  { prefix: '/token', service: 'auth' },
  { prefix: '/setup', service: 'auth' },
  { prefix: '/users', service: 'auth' },
  { prefix: '/api-keys', service: 'auth' },
  { prefix: '/whoami', service: 'auth' },
];

/** By which the edge proxy tells a service on which listener a request came; what a client sends under this name is replaced. */
export const LISTENER_HEADER = 'x-gigvault-listener';

/** The one table of public paths: one process mounts by it, the edge proxy of split mode routes by it. */
export const ROUTE_TABLE: readonly RouteRow[] = [
  { listener: 'public', prefix: '/acme', service: 'enroll' },
  ...API_MOUNTS.flatMap((mount) =>
    API.map((row): RouteRow => ({ ...row, listener: 'public', prefix: `${mount}${row.prefix}` })),
  ),
  { listener: 'status', prefix: '/ocsp', service: 'ocsp' },
  { listener: 'status', prefix: '/crl', service: 'crl' },
  { listener: 'status', prefix: '/ca', service: 'ca' },
];

/** The service that serves a path, or undefined when nobody does. */
export function serviceOf(
  listener: Listener,
  method: string,
  path: string,
): ServiceName | undefined {
  return ROUTE_TABLE.find(
    (row) =>
      row.listener === listener &&
      (row.method === undefined || row.method === method) &&
      (path === row.prefix || (!row.exact && path.startsWith(`${row.prefix}/`))),
  )?.service;
}

/** Methods of a path that the table gives to a service of their own: in split mode, whoever serves the rest does not mount them. */
export function methodsElsewhere(path: string): ReadonlySet<string> {
  const rows = ROUTE_TABLE.filter((row) => row.exact && row.prefix === path);
  return new Set(rows.flatMap(({ method }) => method ?? []));
}
