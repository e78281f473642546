import { hkdfSync, randomUUID } from 'node:crypto';
import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
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
  /** The token's serial number: no other one is asked, whatever it is called. Earlier versions wrote none. */
  serial: z.string().optional(),
  /** The same token, for people: as `token 'root' (SoftHSM v2, serial 0a1b)`. */
  token: z.string().optional(),
});

/** Where a root's key lies in a token: what stands in `token.yaml`. */
export type TokenRecord = z.infer<typeof recordSchema>;

/** A root key in a token, and the process that reaches it. */
export interface TokenRootKey extends RootKey {
  close(): Promise<void>;
}

/** How a key is made in a token. */
export interface NewTokenKey {
  /** The token, RFC 7512. */
  readonly uri: string;
  readonly plan: Plan;
  /** What an attempt that died has noted: its key is taken, or made now, in that token only. */
  readonly noted?: TokenRecord | undefined;
  /** Puts the record on the disk. */
  note(record: TokenRecord): Promise<void>;
  /** Throws for a token that will not do, before anything is noted or made. */
  requireToken?(token: TokenFacts): void;
}

/**
 * Makes the plan's key in a token; it never leaves it. Where it will be is noted first: a process that dies in between leaves no key that nobody knows of.
 * Errors: those of `note` and `requireToken`; INVALID_ARGUMENT (URI, key type), KEY_UNAVAILABLE.
 */
export async function newTokenRootKey(order: NewTokenKey): Promise<TokenRootKey> {
  const { uri, plan, noted } = order;
  const key = await openTokenRootKey(
    uri,
    async (store) => {
      const token = await store.token();
      order.requireToken?.(token);
      const handle = parseKeyHandle(noted?.handle ?? randomUUID());
      const { serialNumber: serial, description } = token;
      await order.note({ uri, handle, serial, token: description });
      return store.generate(plan.root.keyType, { handle });
    },
    { serial: noted?.serial },
    noted,
  );
  if (key.publicKey.keyType === plan.root.keyType) return key;
  await key.close();
  throw new GigvaultError(
    'INVALID_ARGUMENT',
    `The key that was begun in the token is ${key.publicKey.keyType}, and the plan's is ${plan.root.keyType}.`,
  );
}

/** How a token is reached, where it is not as its record says. */
export interface TokenAccess {
  /** Its URI now. */
  readonly hsm?: string | undefined;
  /** Instead of the one in the URI's file. */
  readonly pin?: string;
  /** The one token that will do. Default: the one whose serial number `hsm` says, else the record's. */
  readonly serial?: string | undefined;
}

/** A key that newTokenRootKey has made. Errors: INVALID_ARGUMENT, KEY_NOT_FOUND, KEY_UNAVAILABLE. */
export async function findTokenRootKey(
  record: TokenRecord,
  { hsm, pin, serial }: TokenAccess = {},
): Promise<TokenRootKey> {
  const uri = hsm ?? record.uri;
  // A copy of the key in another token is used only where somebody names that token.
  const named = hsm === undefined ? undefined : parsePkcs11Uri(hsm).token.serial;
  const which = { pin, serial: serial ?? named ?? record.serial };
  const find = async () => parseKeyHandle(record.handle);
  return openTokenRootKey(uri, find, which, record);
}

/** Hex digits of a PIN that shares give. */
const PIN_LENGTH = 32;

/** The PIN of a token whose root key opens with shares: 128 bits that are derived from their secret. */
export function tokenPin(secret: Buffer): string {
  const octets = Buffer.from(
    hkdfSync('sha256', secret, '', 'GigVault token PIN v1', PIN_LENGTH / 2),
  );
  const pin = octets.toString('hex');
  octets.fill(0);
  return pin;
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
  which: WhichToken,
  record: TokenRecord | undefined,
): Promise<TokenRootKey> {
  const store = openToken(uri, which);
  try {
    const handle = await handleIn(store);
    return {
      publicKey: readPublicKey(await store.publicKey(handle)),
      sign: (tbs) => store.sign(handle, tbs, { format: 'der' }),
      close: () => store.close(),
    };
  } catch (error) {
    await store.close();
    throw unavailableAs(record, error);
  }
}

/** What went wrong, with the token that is wanted: another one with the same name may be there. */
function unavailableAs(record: TokenRecord | undefined, error: unknown): unknown {
  const { code, message } = asGigvaultError(error);
  if (record?.token === undefined || code !== 'KEY_UNAVAILABLE') return error;
  return new GigvaultError(code, `The root's key belongs into ${record.token}. ${message}`, {
    cause: error,
  });
}

/** Which token, and with which PIN, beyond what the URI says. */
export interface WhichToken {
  readonly pin?: string | undefined;
  readonly serial?: string | undefined;
}

/** Milliseconds: people wait, once in years, and a slow token is better than a second attempt. */
const PATIENCE = 30_000;

/** A token. */
export function openToken(uri: string, { pin, serial }: WhichToken = {}): Pkcs11KeyStore {
  const parsed = parsePkcs11Uri(uri);
  const token = serial === undefined ? parsed.token : { ...parsed.token, serial };
  // signAsRoot verifies every signature.
  return pkcs11KeyStore({
    uri: { ...parsed, token },
    verify: false,
    deadline: PATIENCE,
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
