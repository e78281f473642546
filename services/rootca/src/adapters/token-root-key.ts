import { hkdfSync } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { type KeyHandle, parseKeyHandle } from '@gigvault/keystore/key-store';
import {
  type Pkcs11KeyStore,
  pkcs11KeyStore,
  type TokenFacts,
} from '@gigvault/keystore/pkcs11/pkcs11-key-store';
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
  /** The token's serial number, of a key that a ceremony made: it goes on with this token only. */
  serial: z.string().optional(),
});

/** Where a root's key lies in a token: what stands in `token.yaml`. */
export type TokenRecord = z.infer<typeof recordSchema>;

/** A root key in a token, and the process that reaches it. */
export interface TokenRootKey extends RootKey {
  readonly handle: KeyHandle;
  /** The token's serial number. */
  readonly serial: string;
  close(): Promise<void>;
}

/**
 * Makes the plan's key in a token; it never leaves it. `requireToken` throws for a token that will not do, before anything is made.
 * Errors: its own; INVALID_ARGUMENT (URI, key type), KEY_UNAVAILABLE.
 */
export async function newTokenRootKey(
  uri: string,
  plan: Plan,
  requireToken: (token: TokenFacts) => void = () => undefined,
): Promise<TokenRootKey> {
  return openTokenRootKey(uri, async (store) => {
    requireToken(await store.token());
    return store.generate(plan.root.keyType);
  });
}

/** How a token is reached, where it is not as its record says. */
export interface TokenAccess {
  /** Its URI now. */
  readonly hsm?: string | undefined;
  /** Instead of the one in the URI's file. */
  readonly pin?: string;
  /** The one token that will do, of several that are what the URI says. */
  readonly serial?: string | undefined;
}

/** A key that newTokenRootKey has made. Errors: INVALID_ARGUMENT, KEY_NOT_FOUND, KEY_UNAVAILABLE. */
export async function findTokenRootKey(
  record: TokenRecord,
  { hsm, ...which }: TokenAccess = {},
): Promise<TokenRootKey> {
  return openTokenRootKey(hsm ?? record.uri, async () => parseKeyHandle(record.handle), which);
}

/** Hex digits of a PIN that shares give. */
const PIN_LENGTH = 32;

/** The PIN of a token whose root key opens with shares: 128 bits that are derived from their secret. */
export function tokenPin(secret: Buffer): string {
  const octets = hkdfSync('sha256', secret, '', 'GigVault token PIN v1', PIN_LENGTH / 2);
  return Buffer.from(octets).toString('hex');
}

/** Errors: INVALID_ARGUMENT for a token that does not take what tokenPin gives. */
export function requireLongPin({ description, pinLength }: TokenFacts): void {
  const { min, max } = pinLength;
  if (min <= PIN_LENGTH && PIN_LENGTH <= max) return;
  throw new GigvaultError(
    'INVALID_ARGUMENT',
    `The PIN that shares give has ${PIN_LENGTH} characters, and ${description} takes ${min} to ${max}: take another token.`,
  );
}

async function openTokenRootKey(
  uri: string,
  handleIn: (store: Pkcs11KeyStore) => Promise<KeyHandle>,
  which: WhichToken = {},
): Promise<TokenRootKey> {
  const store = openToken(uri, which);
  try {
    const handle = await handleIn(store);
    const { serialNumber } = await store.token();
    return {
      handle,
      serial: serialNumber,
      publicKey: readPublicKey(await store.publicKey(handle)),
      sign: (tbs) => store.sign(handle, tbs, { format: 'der' }),
      close: () => store.close(),
    };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Which token, and with which PIN, beyond what the URI says. */
export type WhichToken = Omit<TokenAccess, 'hsm'>;

/** A token. */
export function openToken(uri: string, { pin, serial }: WhichToken = {}): Pkcs11KeyStore {
  const parsed = parsePkcs11Uri(uri);
  const token = serial === undefined ? parsed.token : { ...parsed.token, serial };
  // signAsRoot verifies every signature.
  return pkcs11KeyStore({
    uri: { ...parsed, token },
    verify: false,
    ...(pin !== undefined && { pin }),
  });
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
