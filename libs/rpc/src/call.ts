import type { PeerName } from './service-name.ts';

/**
 * What a handler knows of the call beside its message: the third argument of a Nest RPC handler over both transports. The peer
 * comes from the transport, never from the message or its metadata.
 */
export interface CallContext {
  readonly peer: PeerName;
  /** Full name, as `gigvault.ca.v1.IssuanceService/IssueCertificate`. */
  readonly rpc: string;
  /** Aborts when the caller hangs up or its deadline passes. */
  readonly signal: AbortSignal;
  readonly requestId: string;
}

/** What a caller may say. */
export interface CallOptions {
  /** Milliseconds until DEADLINE_EXCEEDED. Default 10,000. */
  readonly deadline?: number;
  readonly signal?: AbortSignal;
}

/** The clients of a generated service interface. */
export type Client<S> = {
  [M in keyof S]: S[M] extends (request: infer Q) => Promise<infer R>
    ? (request: Q, options?: CallOptions) => Promise<R>
    : never;
};
