import type { KeyObject } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { requireValid } from '../account/create-account.ts';
import type { NoncePool } from '../nonce/nonce-pool.ts';
import type { Account, Accounts } from '../ports/accounts.ts';
import { decodeBase64Url } from './base64url.ts';
import { readJwk, type SignerKey } from './jwk.ts';
import { type Jws, parseJws, verifyJws } from './jws.ts';

const ACCOUNT_ID = /^[\w-]{1,64}$/;

/** What verifying a request needs. */
export interface VerifyRequestDeps {
  readonly accounts: Accounts;
  readonly nonces: NoncePool;
  /** The key of an account, ready to verify with. */
  keyOf(account: Account): KeyObject;
  /** What an account's URL begins with: `<publicUrl>/acme/account/`. */
  readonly accountUrlPrefix: string;
}

/** Who signed: an account that is valid, or just a key. */
export type Signer =
  | { readonly kind: 'account'; readonly account: Account; readonly publicKey: KeyObject }
  | { readonly kind: 'key'; readonly key: SignerKey; readonly publicKey: KeyObject };

/** How requests to a resource are signed (RFC 8555 §6.2). */
export type SignedBy = 'jwk' | 'kid' | 'either';

/**
 * Verifies a signed request: form, signer, signature, url, nonce, in this order, so that only a request which is whole uses
 * its nonce up (RFC 8555 §6.2 to §6.5).
 * Errors: INVALID_ARGUMENT, BAD_SIGNATURE_ALGORITHM, BAD_PUBLIC_KEY, ACCOUNT_DOES_NOT_EXIST; UNAUTHENTICATED for a
 * deactivated account (T38), UNAUTHORIZED for another `url` (T36); BAD_NONCE (T33).
 *
 * @param request.url where the client sent it, as the server's documents name it.
 */
export async function verifyRequest(
  deps: VerifyRequestDeps,
  request: { readonly body: Buffer; readonly url: string; readonly signedBy: SignedBy },
): Promise<{ readonly signer: Signer; readonly payload: Buffer }> {
  const jws = parseJws(request.body);
  const signer = await signerOf(deps, jws, request.signedBy);
  verifyJws(jws, signer.publicKey);
  if (signer.kind === 'account') requireValid(signer.account);
  checkUrl(jws.url, request.url);
  checkNonce(deps.nonces, jws.nonce);
  return { signer, payload: jws.payload };
}

async function signerOf(deps: VerifyRequestDeps, jws: Jws, signedBy: SignedBy): Promise<Signer> {
  if (jws.kid === undefined) {
    if (signedBy === 'kid')
      throw new GigvaultError('INVALID_ARGUMENT', 'Sign with "kid", the URL of your account.');
    const key = readJwk(jws.jwk);
    return { kind: 'key', key, publicKey: key.publicKey };
  }
  if (signedBy === 'jwk')
    throw new GigvaultError('INVALID_ARGUMENT', 'Sign with "jwk": no account is involved here.');
  if (!jws.kid.startsWith(deps.accountUrlPrefix)) {
    throw new GigvaultError('INVALID_ARGUMENT', '"kid" is not the URL of an account here.');
  }
  const accountId = jws.kid.slice(deps.accountUrlPrefix.length);
  const account = ACCOUNT_ID.test(accountId) ? await deps.accounts.find({ accountId }) : undefined;
  if (!account) throw new GigvaultError('ACCOUNT_DOES_NOT_EXIST', 'There is no such account.');
  return { kind: 'account', account, publicKey: deps.keyOf(account) };
}

function checkUrl(signed: string, requested: string): void {
  if (signed === '')
    throw new GigvaultError('INVALID_ARGUMENT', 'Header parameter "url" is missing.');
  if (signed !== requested)
    throw new GigvaultError(
      'UNAUTHORIZED',
      `The request was signed for another URL than ${requested}.`,
    );
}

function checkNonce(nonces: NoncePool, nonce: string | undefined): void {
  if (nonce === undefined)
    throw new GigvaultError('BAD_NONCE', 'Header parameter "nonce" is missing.');
  decodeBase64Url(nonce, '"nonce"');
  if (!nonces.redeem(nonce))
    throw new GigvaultError('BAD_NONCE', 'The nonce was used before, is too old, or is not ours.');
}
