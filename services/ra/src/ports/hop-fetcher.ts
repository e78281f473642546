/** One GET to one address. */
export interface HopRequest {
  readonly url: URL;
  /** The only address that may be connected to; the name of the URL is never resolved again (T43). */
  readonly address: string;
  /** No more octets of the body than this are read. */
  readonly maxBody: number;
  /** Is called when the connection to the address stands. */
  readonly onConnect: () => void;
  readonly signal: AbortSignal;
}

/** What came back. */
export interface HopReply {
  readonly status: number;
  readonly location: string | undefined;
  /** As sent: never decompressed (T44). */
  readonly body: Buffer;
  /** The body was longer than maxBody. */
  readonly truncated: boolean;
}

/** Fetches without following anything. */
export interface HopFetcher {
  /** Throws ChallengeFailure `connection` or `tls`. */
  fetch(request: HopRequest): Promise<HopReply>;
}
