import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { type KeyHandle, parseKeyHandle } from '@gigvault/keystore/key-store';
import { pkcs11KeyStore } from '@gigvault/keystore/pkcs11/pkcs11-key-store';
import { parsePkcs11Uri } from '@gigvault/keystore/pkcs11/pkcs11-uri';
import { readPublicKey } from '@gigvault/x509/public-key';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import type { RootKey } from '../ceremony/root-key.ts';
import type { Plan } from '../plan/plan.ts';

const recordSchema = z.strictObject({
  /** The token, RFC 7512. */
  uri: z.string(),
  /** The key in it. */
  handle: z.string(),
});

/** Where a root's key lies in a token: what stands in `token.yaml`. */
export type TokenRecord = z.infer<typeof recordSchema>;

/** A root key in a token, and the process that reaches it. */
export interface TokenRootKey extends RootKey {
  readonly handle: KeyHandle;
  close(): Promise<void>;
}

/** Makes the plan's key in a token; it never leaves it. Errors: INVALID_ARGUMENT (URI, key type), KEY_UNAVAILABLE. */
export async function newTokenRootKey(uri: string, plan: Plan): Promise<TokenRootKey> {
  return openTokenRootKey(uri, (store) => store.generate(plan.root.keyType));
}

/** A key that newTokenRootKey has made. @param uri of the token, when it is another one than at that time. Errors: INVALID_ARGUMENT, KEY_NOT_FOUND, KEY_UNAVAILABLE. */
export async function findTokenRootKey(
  record: TokenRecord,
  uri = record.uri,
): Promise<TokenRootKey> {
  return openTokenRootKey(uri, async () => parseKeyHandle(record.handle));
}

async function openTokenRootKey(
  uri: string,
  handleIn: (store: ReturnType<typeof pkcs11KeyStore>) => Promise<KeyHandle>,
): Promise<TokenRootKey> {
  // signAsRoot verifies every signature.
  const store = pkcs11KeyStore({ uri: parsePkcs11Uri(uri), verify: false });
  try {
    const handle = await handleIn(store);
    return {
      handle,
      publicKey: readPublicKey(await store.publicKey(handle)),
      sign: (tbs) => store.sign(handle, tbs, { format: 'der' }),
      close: () => store.close(),
    };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** As it is stored. */
export function writeTokenRecord(record: TokenRecord): string {
  return stringify(record);
}

/** Errors: INVALID_ARGUMENT for anything else than writeTokenRecord made. */
export function readTokenRecord(text: string): TokenRecord {
  try {
    return recordSchema.parse(parse(text));
  } catch (cause) {
    throw new GigvaultError('INVALID_ARGUMENT', 'token.yaml does not say where the key is.', {
      cause,
    });
  }
}
