import type { Readable } from 'node:stream';
import type { ClientIdentity } from '@gigvault/access/client-certificate';
import type { Permission, Principal } from '@gigvault/access/permissions';
import type { ErrorCode } from '@gigvault/errors/error-table';
import type { ZodType } from 'zod';
import type { Tag } from './tags.ts';

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
  /** What the client has proved by its connection; for operations only. */
  readonly client?: ClientIdentity | undefined;
  readonly requestId: string;
  readonly traceId: string;
  /** Set on routes that name a permission. */
  readonly principal?: Principal;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
}

/** What goes back. A stream is sent as it is, with the content-length that its headers name; any other object as JSON. */
export interface HttpReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: object | string | Buffer | Readable;
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
  /**
   * Plain requests skip the framework (ADR 15): for answers that cost less than it does. `path` has no parameters but a `*` at its end. No
   * request id and no log line; counted and timed as every other. Behind the edge `clientIp` is the edge's.
   */
  readonly direct?: true;
  /** An answer that is there already need not be waited for. */
  handle(
    request: HttpRequest<Record<string, string>, Record<string, string>, Buffer>,
  ): HttpReply | Promise<HttpReply>;
}

/** What an operation takes and answers, as it is in /openapi.json. Tests hold every example against its schema. */
export interface OperationExamples {
  readonly params?: Readonly<Record<string, unknown>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
  /** By status; a 204 has none. */
  readonly replies: Readonly<Record<number, unknown>>;
}

/** The same operation for clients of another standard: a form as its body, and that standard's words for every answer. */
export interface FormVariant {
  /** Of the fields, all texts. */
  readonly body: ZodType;
  readonly reply: ZodType;
  readonly error: ZodType;
  readonly examples: { readonly body: unknown; readonly reply: unknown; readonly error: unknown };
  readonly errorReply: ErrorReply;
  handle(request: HttpRequest<never, never, never>): Promise<HttpReply>;
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
  readonly tag: Tag;
  readonly summary: string;
  /** What the summary cannot say, in Markdown. */
  readonly description?: string;
  /** Who may; `anonymous` only where the body itself is the credential. */
  readonly permission: Permission | 'signed-in' | 'anonymous';
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  /** Schema of each success reply by status. Errors are problem documents. */
  readonly replies: Readonly<Record<number, ZodType>>;
  readonly examples: OperationExamples;
  /** Errors of its own, each with a sentence as users would read it. What every operation may answer is not here. */
  readonly errors?: Readonly<Partial<Record<ErrorCode, string>>>;
  /** What the header Location of a success names. */
  readonly location?: string;
  /** Present where an Idempotency-Key is honoured: what a repetition with the same key is answered. */
  readonly idempotencyKey?: string;
  readonly form?: FormVariant;
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
