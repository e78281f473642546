import { createHash, createVerify } from 'node:crypto';
import type { PublicKeyInfo } from '@gigvault/x509/public-key';
import { algorithmOf, encodingOf, verifyWith } from '../key-algorithm.ts';
import type { KeyHandle, SignatureFormat } from '../key-store.ts';
import { type OpenSignature, wholeSignature } from '../streamed-signature.ts';
import { unavailable } from './return-value.ts';
import type { SupervisedDriver } from './supervised-driver.ts';
import { digestInput, formatted, tokenInput } from './token-signature.ts';

/** A key in the token, and what to sign with it for. */
export interface TokenKey {
  readonly handle: KeyHandle;
  readonly key: PublicKeyInfo;
  readonly format: SignatureFormat;
}

/** Who asks the token for signatures, and whether they are checked before they are given out. */
export interface TokenSigner {
  readonly driver: Pick<SupervisedDriver, 'call'>;
  readonly verify: boolean;
}

/** Errors: KEY_NOT_FOUND, KEY_UNAVAILABLE. */
export async function signWithToken(
  signer: TokenSigner,
  tokenKey: TokenKey,
  data: Buffer,
): Promise<Buffer> {
  const { key, format } = tokenKey;
  const signature = await tokenSignature(signer, tokenKey, tokenInput(key.keyType, data));
  if (!signer.verify || (await verifyWith(key.keyObject, data, signature, format))) {
    return signature;
  }
  throw wrongSignature(tokenKey);
}

/** The token gets the digest of a list that nobody holds as a whole; the check runs along. Errors of `sign`: KEY_NOT_FOUND, KEY_UNAVAILABLE. */
export function startTokenSignature(signer: TokenSigner, tokenKey: TokenKey): OpenSignature {
  const { key, format } = tokenKey;
  const name = algorithmOf(key.keyType).hash;
  if (name === null) return wholeSignature((data) => signWithToken(signer, tokenKey, data));
  const digest = createHash(name);
  const verifying = signer.verify ? createVerify(name) : undefined;
  return {
    update(part) {
      digest.update(part);
      verifying?.update(part);
    },
    async sign() {
      const input = digestInput(key.keyType, digest.digest());
      const signature = await tokenSignature(signer, tokenKey, input);
      const publicKey = { key: key.keyObject, dsaEncoding: encodingOf(format) };
      if (verifying?.verify(publicKey, signature) === false) throw wrongSignature(tokenKey);
      return signature;
    },
  };
}

async function tokenSignature(
  { driver }: TokenSigner,
  { handle, key: { keyType }, format }: TokenKey,
  data: Buffer,
): Promise<Buffer> {
  const raw = await driver.call({ method: 'sign', handle, keyType, data });
  return formatted(keyType, raw as Uint8Array, format);
}

function wrongSignature({ handle }: TokenKey): Error {
  return unavailable(`The token gave a wrong signature with key '${handle}'.`);
}
