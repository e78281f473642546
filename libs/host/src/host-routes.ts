import { NO_DOOR } from '@gigvault/http/admit';
import { apiDocsRoutes as docsRoutes } from '@gigvault/http/api-docs';
import type { MountedRoute } from '@gigvault/http/mounting';
import { openApiDocument, openApiReplies } from '@gigvault/http/openapi';
import { problemReply } from '@gigvault/http/problem';
import type { HttpReply, ProtocolRoute } from '@gigvault/http/route';
import type { Health, HealthQuestion } from './health.ts';
import { installedVersion } from './home.ts';

/** `/health`, `/ready`, `/live` and `/version` of the public listener: no detail without authentication (requirement X2). */
export function publicHealthRoutes(health: Health, version: string): MountedRoute[] {
  const answer = (ok: boolean): HttpReply => ({
    status: ok ? 200 : 503,
    headers: { 'cache-control': 'no-store' },
    body: { status: ok ? 'ok' : 'unavailable' },
  });
  const ask = (question: HealthQuestion) => async () =>
    answer(health.ready && (await health.check(question, [])).every((r) => r.ok));
  return [
    hostRoute('/health', ask('health')),
    hostRoute('/ready', ask('ready')),
    hostRoute('/live', async () => answer(true)),
    hostRoute('/version', async () => ({ status: 200, body: { name: 'gigvault', version } })),
  ];
}

/** `/openapi.json`, and the same as YAML, for the operations among these routes. */
export function openApiRoutes(routes: readonly MountedRoute[]): MountedRoute[] {
  const document = openApiDocument(
    routes.map((mounted) => mounted.route),
    installedVersion(),
  );
  return Object.entries(openApiReplies(document)).map(([path, reply]) =>
    hostRoute(path, async () => reply),
  );
}

/** `/docs`: the page of the API's document. */
export function apiDocsRoutes(): MountedRoute[] {
  return docsRoutes().map(mounted);
}

function hostRoute(path: string, handle: () => Promise<HttpReply>): MountedRoute {
  return mounted({
    kind: 'protocol',
    listener: 'public',
    method: 'GET',
    path,
    bodyLimit: 1,
    errorReply: (error, request) => problemReply(error, path, request.traceId),
    handle,
  });
}

function mounted(route: ProtocolRoute): MountedRoute {
  return {
    service: 'host',
    door: NO_DOOR,
    route,
  };
}
