import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { readJwk } from '../jws/jwk.ts';
import { parseJws, verifyJws } from '../jws/jws.ts';
import { parseStrictJsonObject } from '../jws/strict-json.ts';
import type { Account } from '../ports/accounts.ts';
import type { ChangeAccountDeps } from './update-account.ts';

/** The key was taken over, or it belongs to an account already. */
export type KeyChange =
  | { readonly outcome: 'changed'; readonly account: Account }
  | { readonly outcome: 'key-in-use'; readonly holder: string };

/**
 * Gives the account the key that signed the inner JWS (RFC 8555 §7.3.5). The outer one was signed by the account's key.
 *
 * @param request.url the outer JWS's url; `accountUrl` the account's own.
 * Errors: INVALID_ARGUMENT, BAD_PUBLIC_KEY, BAD_SIGNATURE_ALGORITHM, RATE_LIMITED; CONFLICT when the account changed meanwhile.
 */
export async function changeKey(
  { accounts, limits }: ChangeAccountDeps,
  account: Account,
  request: { readonly payload: Buffer; readonly url: string; readonly accountUrl: string },
): Promise<KeyChange> {
  const inner = parseJws(request.payload);
  if (inner.jwk === undefined)
    throw new GigvaultError('INVALID_ARGUMENT', 'The inner JWS must hold the new key as "jwk".');
  const key = readJwk(inner.jwk);
  verifyJws(inner, key.publicKey);
  if (inner.url !== request.url)
    throw new GigvaultError('INVALID_ARGUMENT', 'The "url" of the inner and outer JWS differ.');
  const payload = parseStrictJsonObject(inner.payload, 'The inner payload');
  if (payload['account'] !== request.accountUrl) {
    throw new GigvaultError('INVALID_ARGUMENT', 'The inner payload names another account.');
  }
  if (readJwk(payload['oldKey']).thumbprint !== account.jwkThumbprint) {
    throw new GigvaultError('INVALID_ARGUMENT', 'The "oldKey" is not the account\'s key.');
  }
  limits.change(account.accountId);
  const holder = await accounts.changeKey(account.accountId, account.jwkThumbprint, {
    jwk: key.jwk,
    jwkThumbprint: key.thumbprint,
  });
  if (!holder) throw new GigvaultError('CONFLICT', 'The account changed meanwhile.');
  return holder.accountId === account.accountId && account.jwkThumbprint !== key.thumbprint
    ? { outcome: 'changed', account: holder }
    : { outcome: 'key-in-use', holder: holder.accountId };
}
