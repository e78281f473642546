/** The URLs of the ACME resources, as clients see them. */
export interface AcmeUrls {
  readonly directory: string;
  readonly newNonce: string;
  readonly newAccount: string;
  readonly newOrder: string;
  readonly revokeCert: string;
  readonly keyChange: string;
  /** What every account's URL begins with. */
  readonly accountPrefix: string;
  account(accountId: string): string;
  orders(accountId: string, cursor?: string): string;
  order(orderId: string): string;
  finalize(orderId: string): string;
  certificate(orderId: string): string;
  authorization(authorizationId: string): string;
  challenge(authorizationId: string, challengeId: string): string;
}

/** @param publicUrl as `https://localhost:8443`, without a slash at its end. */
export function acmeUrls(publicUrl: string): AcmeUrls {
  const base = `${publicUrl}/acme`;
  const at = (path: string, id: string): string => `${base}/${path}/${encodeURIComponent(id)}`;
  return {
    directory: `${base}/directory`,
    newNonce: `${base}/new-nonce`,
    newAccount: `${base}/new-account`,
    newOrder: `${base}/new-order`,
    revokeCert: `${base}/revoke-cert`,
    keyChange: `${base}/key-change`,
    accountPrefix: `${base}/account/`,
    account: (accountId) => at('account', accountId),
    orders: (accountId, cursor) =>
      `${at('account', accountId)}/orders${cursor === undefined ? '' : `?cursor=${encodeURIComponent(cursor)}`}`,
    order: (orderId) => at('order', orderId),
    finalize: (orderId) => `${at('order', orderId)}/finalize`,
    certificate: (orderId) => at('cert', orderId),
    authorization: (authorizationId) => at('authz', authorizationId),
    challenge: (authorizationId, challengeId) =>
      `${at('chall', authorizationId)}/${encodeURIComponent(challengeId)}`,
  };
}
