import type { Permission, Principal } from '@gigvault/access/permissions';
import type { ZodType } from 'zod';

/** `public`: HTTPS. `status`: plain HTTP, for what its standards define over HTTP (OCSP, CRL, issuer certificates). */
export type Listener = 'public' | 'status';

/** A decoded request. */
export interface HttpRequest<Params = Record<string, string>, Query = unknown, Body = unknown> {
  readonly method: string;
  /** As the client sent it, with scheme and host of the listener: `https://localhost:8443/acme/new-order`. */
  readonly url: string;
  readonly params: Params;
  readonly query: Query;
  /** Validated JSON of a REST operation; a Buffer on routes with `rawBody`. */
  readonly body: Body;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly clientIp: string;
  readonly requestId: string;
  readonly traceId: string;
  /** Set on routes that name a permission. */
  readonly principal?: Principal;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
}

/** What goes back. An object body is sent as JSON. */
export interface HttpReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: object | string | Buffer;
}

/** Turns an error into the protocol's own form. Also called for bodies too large, unknown methods and paths below the protocol's that nothing serves. */
export type ErrorReply = (error: unknown, request: HttpRequest) => HttpReply | Promise<HttpReply>;

/** A route of a protocol that is not REST: ACME, OCSP, CRL files. Bodies arrive as raw bytes. */
export interface ProtocolRoute {
  readonly kind: 'protocol';
  readonly listener: Listener;
  readonly method: 'GET' | 'POST' | 'HEAD';
  /** Fastify syntax, as `/acme/order/:orderId`. */
  readonly path: string;
  /** Largest body in octets; more is PAYLOAD_TOO_LARGE through `errorReply`. */
  readonly bodyLimit: number;
  readonly errorReply: ErrorReply;
  handle(
    request: HttpRequest<Record<string, string>, Record<string, string>, Buffer>,
  ): Promise<HttpReply>;
}

/** One operation of the REST API; it stands in /openapi.json. Mounted at /service/api/v1 and /api/v1. */
export interface Operation<
  P extends ZodType = ZodType,
  Q extends ZodType = ZodType,
  B extends ZodType = ZodType,
> {
  readonly kind: 'operation';
  /** One verb, as `revokeCertificate`. */
  readonly operationId: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below the mount, as `/certificates/:serialNumber/revoke`. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  /** Who may; `anonymous` only where the body itself is the credential. */
  readonly permission: Permission | 'signed-in' | 'anonymous';
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  /** Schema of each success reply by status. Errors are problem documents. */
  readonly replies: Readonly<Record<number, ZodType>>;
  readonly example?: { readonly body?: unknown; readonly reply?: unknown };
  handle(request: HttpRequest<never, never, never>): Promise<HttpReply>;
}

/** Any route. */
export type HttpRoute = ProtocolRoute | Operation;

/** Types an operation's handler by its schemas. */
export function operation<P extends ZodType, Q extends ZodType, B extends ZodType>(
  definition: Omit<Operation<P, Q, B>, 'kind' | 'handle'> & {
    handle(request: HttpRequest<Infer<P>, Infer<Q>, Infer<B>>): Promise<HttpReply>;
  },
): Operation {
  return { kind: 'operation', ...definition } as unknown as Operation;
}

type Infer<S> = S extends ZodType<infer T> ? T : never;
