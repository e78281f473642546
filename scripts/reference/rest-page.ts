import type { HttpRoute, Operation } from '../../libs/http/src/route.ts';
import { API_MOUNTS } from '../../libs/http/src/route-table.ts';
import { auditOperations } from '../../services/audit/src/api/http.ts';
import { authRoutes } from '../../services/auth/src/api/http.ts';
import { caOperations } from '../../services/ca/src/api/http.ts';
import { keyRoutes } from '../../services/keymgr/src/api/http.ts';
import { masterKeyRoutes } from '../../services/keymgr/src/api/http-master-key.ts';
import { enrolmentRoutes } from '../../services/ra/src/api/http.ts';
import { code, type Page } from './table.ts';

/** Every operation of the REST API, as data: nothing of what a handler needs is there. */
export function restOperations(): Readonly<Record<string, readonly Operation[]>> {
  const none = {} as never;
  const routes: Readonly<Record<string, readonly HttpRoute[]>> = {
    'certificates and issuers': caOperations(none),
    requests: enrolmentRoutes(none),
    keys: [...keyRoutes(none), ...masterKeyRoutes(none)],
    access: authRoutes(none),
    audit: auditOperations(none),
  };
  return Object.fromEntries(
    Object.entries(routes).map(([heading, list]) => [
      heading,
      list.filter((route) => route.kind === 'operation'),
    ]),
  );
}

/** Every operation in tables. */
export function restPage(): Page {
  return {
    title: 'REST API',
    about: [
      `Below \`${API_MOUNTS[0]}\` (and \`${API_MOUNTS[1]}\`) on the public listener. A running GigVault describes each operation with its`,
      'schemas, examples and errors at `/openapi.json` and `/openapi.yaml`, and as a page at `/docs`. Errors are problem documents: [errors](errors.md). Permissions: [permissions](permissions.md).',
      'JSON over [HTTP/1.1](../operations/configuration.md#versions-of-http).',
    ].join('\n'),
    sections: Object.entries(restOperations()).map(([heading, list]) => ({
      heading,
      columns: ['operation', 'what', 'permission'],
      rows: list.map((route) => [
        code(`${route.method} ${route.path}`),
        route.summary,
        permissionOf(route),
      ]),
    })),
  };
}

function permissionOf({ permission }: Operation): string {
  if (permission === 'anonymous') return 'the body is the credential';
  return permission === 'signed-in' ? 'anybody signed in' : code(permission);
}
