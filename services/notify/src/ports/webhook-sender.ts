/** How a webhook answered. */
export interface WebhookReply {
  readonly status: number;
  /** Seconds that it asks to wait (RFC 9110 §10.2.3). */
  readonly retryAfter?: number;
}

/** POSTs to a webhook: nothing is followed, and no address is connected to that the rules refuse. */
export interface WebhookSender {
  /** Rejects with an Error in words when there is no answer within ten seconds, or may be none. */
  post(
    url: URL,
    headers: Readonly<Record<string, string>>,
    body: string,
    signal: AbortSignal,
  ): Promise<WebhookReply>;
}
