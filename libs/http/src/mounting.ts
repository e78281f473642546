import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import { workFor } from './admission.ts';
import type { Door } from './admit.ts';
import type { ClientReader } from './client-certificates.ts';
import { isForm } from './form.ts';
import { runOperation } from './operation.ts';
import { decode, nothingAt, pathOf, send, within } from './request.ts';
import type { ErrorReply, HttpRoute, Listener } from './route.ts';
import { API_MOUNTS, LISTENER_HEADER, methodsElsewhere, serviceOf } from './route-table.ts';

/** A route and the service that brings it. */
export interface MountedRoute {
  readonly service: string;
  readonly route: HttpRoute;
  /** Lets people in to an operation; a protocol's route asks nobody. */
  readonly door: Door;
}

/** The routes of a listener. */
export interface Routes {
  readonly listeners: readonly Listener[];
  readonly routes: readonly MountedRoute[];
  readonly baseUrl: string;
  /** Behind the edge proxy, which says on which listener a request came. */
  readonly behindProxy: boolean;
  /** Reads what the clients of operations have proved by their connections. */
  readonly readClient?: ClientReader;
}

/** Mounts every route of these listeners. Throws for one that the route table gives to another service. */
export function mountRoutes(app: FastifyInstance, routes: Routes): void {
  for (const [path, mounted] of groupByPath(routes)) {
    const has = (method: string) => mounted.some((m) => m.route.method === method);
    for (const one of mounted) {
      const { method } = one.route;
      // What can be read can be asked for its header (RFC 9110 §9.3.2).
      mountOne(
        app,
        path,
        one,
        method === 'GET' && !has('HEAD') ? ['GET', 'HEAD'] : [method],
        routes,
      );
    }
    refuseOtherMethods(app, path, mounted);
  }
}

/** True below the mounts of the management API. */
export function isApi(request: FastifyRequest): boolean {
  const mounted = mountedOf(request);
  if (mounted) return mounted.route.kind === 'operation';
  const path = pathOf(request);
  return API_MOUNTS.some((mount) => path === mount || path.startsWith(`${mount}/`));
}

/**
 * The error form of the protocol that a request belongs to. A path that nothing serves belongs to the service that the
 * route table gives it to: an ACME client understands ACME's problem documents below /acme, whatever it asked for.
 */
export function errorReplyFor(routes: Routes, request: FastifyRequest): ErrorReply | undefined {
  const mounted = mountedOf(request);
  if (mounted?.route.kind === 'operation')
    return isForm(request) ? mounted.route.form?.errorReply : undefined;
  if (mounted) return mounted.route.errorReply;
  return protocolErrorReply(routes, request.method, pathOf(request));
}

/** Of the protocol that a path belongs to by the route table. */
export function protocolErrorReply(
  routes: Routes,
  method: string,
  path: string,
): ErrorReply | undefined {
  for (const listener of routes.listeners) {
    const owner = serviceOf(listener, method, path);
    for (const { service, route } of routes.routes) {
      if (route.kind === 'protocol' && route.listener === listener && service === owner)
        return route.errorReply;
    }
  }
  return undefined;
}

function mountedOf(request: FastifyRequest): MountedRoute | undefined {
  return (request.routeOptions.config as { mounted?: MountedRoute } | undefined)?.mounted;
}

/** Every concrete path of these listeners with its routes. */
function groupByPath({ listeners, routes }: Routes): Map<string, MountedRoute[]> {
  const byPath = new Map<string, MountedRoute[]>();
  for (const mounted of routes) {
    const { route } = mounted;
    const listener = listenerOf(route);
    if (!listeners.includes(listener)) continue;
    const paths =
      route.kind === 'operation' ? API_MOUNTS.map((mount) => mount + route.path) : [route.path];
    for (const path of paths) {
      requireOwner(mounted, listener, path);
      byPath.set(path, [...(byPath.get(path) ?? []), mounted]);
    }
  }
  return byPath;
}

function listenerOf(route: HttpRoute): Listener {
  return route.kind === 'operation' ? 'public' : route.listener;
}

/** No management route over plain HTTP, whatever path tricks a proxy falls for. Errors: NOT_FOUND. */
function requireListener(request: FastifyRequest, listener: Listener): void {
  if (request.headers[LISTENER_HEADER] === listener) return;
  throw nothingAt(pathOf(request));
}

function requireOwner({ service, route }: MountedRoute, listener: Listener, path: string): void {
  const owner = serviceOf(listener, route.method, path);
  const mine = service === 'host' ? owner === undefined : owner === service;
  if (mine) return;
  throw new Error(
    `the route table gives ${route.method} ${path} to ${owner ?? 'nobody'}, not to ${service}`,
  );
}

function mountOne(
  app: FastifyInstance,
  path: string,
  mounted: MountedRoute,
  methods: readonly string[],
  { baseUrl, behindProxy, readClient }: Routes,
): void {
  const { route, door } = mounted;
  app.route({
    method: [...methods],
    url: path,
    ...(route.kind === 'protocol' ? { bodyLimit: Math.max(1, route.bodyLimit) } : {}),
    config: { mounted } as RouteOptions['config'] & object,
    handler: async (request: FastifyRequest, reply: FastifyReply) => {
      if (behindProxy) requireListener(request, listenerOf(route));
      const decoded = decode(request, reply, baseUrl);
      const work = within(request, async () =>
        route.kind === 'operation'
          ? runOperation(route, { ...decoded, client: readClient?.(request.raw) }, door)
          : route.handle(decoded as never),
      );
      const answer = await workFor(request.raw, work);
      return send(reply, answer);
    },
  });
}

function refuseOtherMethods(
  app: FastifyInstance,
  path: string,
  mounted: readonly MountedRoute[],
): void {
  const own = new Set<string>(mounted.map((m) => m.route.method));
  if (own.has('GET')) own.add('HEAD');
  const sorted = [...new Set([...own, ...methodsElsewhere(path)])].sort();
  const allow = sorted.join(', ');
  const only =
    sorted.length === 1
      ? `Only ${allow} is`
      : `Only ${sorted.slice(0, -1).join(', ')} and ${sorted.at(-1)} are`;
  app.route({
    method: app.supportedMethods.filter((method) => !own.has(method)),
    url: path,
    config: { mounted: mounted[0] } as RouteOptions['config'] & object,
    // Before the body is read: it does not matter.
    onRequest: async () => {
      throw new GigvaultError('METHOD_NOT_ALLOWED', `${only} allowed here.`, {
        details: { allow },
      });
    },
    handler: async () => undefined,
  });
}
