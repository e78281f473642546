import { fromErrorRecord } from '@gigvault/errors/gigvault-error';
import type { Authorization, Challenge } from '@gigvault/proto/ra/v1/authorization';
import type { Account } from '../ports/accounts.ts';
import type { Order } from '../ports/orders.ts';
import type { AcmeUrls } from './acme-urls.ts';
import { problemDocument } from './problem-document.ts';

/** What the directory says of the server. */
export interface DirectoryMeta {
  /** URL, or ''. */
  readonly termsOfService: string;
  /** URL, or ''. */
  readonly website: string;
  readonly caaIdentities: readonly string[];
  /** Name to description (draft-ietf-acme-profiles). */
  readonly profiles: Readonly<Record<string, string>>;
}

/** RFC 8555 §7.1.1. */
export function directoryDocument(urls: AcmeUrls, meta: DirectoryMeta): object {
  return {
    newNonce: urls.newNonce,
    newAccount: urls.newAccount,
    newOrder: urls.newOrder,
    revokeCert: urls.revokeCert,
    keyChange: urls.keyChange,
    meta: {
      ...(meta.termsOfService === '' ? {} : { termsOfService: meta.termsOfService }),
      ...(meta.website === '' ? {} : { website: meta.website }),
      ...(meta.caaIdentities.length === 0 ? {} : { caaIdentities: meta.caaIdentities }),
      externalAccountRequired: false,
      profiles: meta.profiles,
    },
  };
}

/** RFC 8555 §7.1.2. */
export function accountDocument(urls: AcmeUrls, account: Account): object {
  return {
    status: account.status,
    contact: account.contact,
    termsOfServiceAgreed: account.termsOfServiceAgreed,
    orders: urls.orders(account.accountId),
  };
}

/** RFC 8555 §7.1.3. */
export function orderDocument(urls: AcmeUrls, order: Order): object {
  return {
    status: order.status,
    expires: rfc3339(order.expiresAt),
    identifiers: order.identifiers,
    profile: order.profile,
    ...(order.notBefore === 0 ? {} : { notBefore: rfc3339(order.notBefore) }),
    ...(order.notAfter === 0 ? {} : { notAfter: rfc3339(order.notAfter) }),
    authorizations: order.authorizationIds.map(urls.authorization),
    finalize: urls.finalize(order.orderId),
    ...(order.status === 'valid' ? { certificate: urls.certificate(order.orderId) } : {}),
    ...(order.error ? { error: problemDocument(fromErrorRecord(order.error)) } : {}),
  };
}

/** RFC 8555 §7.1.4. */
export function authorizationDocument(urls: AcmeUrls, authorization: Authorization): object {
  return {
    status: authorization.status,
    identifier: { type: authorization.identifier?.type, value: authorization.identifier?.value },
    expires: rfc3339(authorization.expiresAt),
    challenges: authorization.challenges.map((challenge) =>
      challengeDocument(urls, authorization.authorizationId, challenge),
    ),
  };
}

/** RFC 8555 §7.1.5, §8. */
export function challengeDocument(
  urls: AcmeUrls,
  authorizationId: string,
  challenge: Challenge,
): object {
  return {
    type: challenge.type,
    url: urls.challenge(authorizationId, challenge.challengeId),
    status: challenge.status,
    token: challenge.token,
    ...(challenge.validatedAt === 0 ? {} : { validated: rfc3339(challenge.validatedAt) }),
    ...(challenge.error === '' ? {} : { error: JSON.parse(challenge.error) as object }),
  };
}

/** Whole seconds: some clients read no fractions. */
function rfc3339(unixMs: number): string {
  return new Date(unixMs).toISOString().replace(/\.\d{3}Z$/, 'Z');
}
