import { randomUUID } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { AnyKeyType, PairKeyType, RsaKeyType, SecretKeyType } from './key-types.ts';
import type { OpenSignature } from './streamed-signature.ts';

declare const keyHandle: unique symbol;

/** Names a private key inside its backend. Opaque: `^[A-Za-z0-9-]{1,255}$`, never a path. */
export type KeyHandle = string & { readonly [keyHandle]: true };

/** ECDSA only: `der` is the SEQUENCE that X.509 wants (RFC 3279 §2.2.3), `p1363` is r and s side by side as JWS wants (RFC 7518 §3.4). */
export type SignatureFormat = 'der' | 'p1363';

/** Kinds of backends, as in the configuration. */
export type BackendType = 'memory' | 'pkcs8' | 'pkcs11' | 'tpm2' | 'aws-kms';

/** What a backend is and what it can do, for operators. */
export interface BackendFacts {
  /** As `token 'ca' (SoftHSM v2, serial 0a1b)`. */
  readonly description: string;
  /** What it makes. */
  readonly keyTypes: readonly AnyKeyType[];
  /** As the backend says it: software may call itself hardware. */
  readonly hardware: boolean;
  /** Undefined: it does not say. */
  readonly fips: boolean | undefined;
}

/** Of a new key. */
export interface NewKeyOptions {
  /** A backend that shows names to its operators shows it. */
  readonly label?: string;
  /** See NamedKeys; no other backend knows it. */
  readonly name?: string;
  /**
   * A UUID that no key has had: who notes it before asking can remove the key whatever happens. Default: a random one. Backends with named keys
   * choose their handles themselves: there `name` does this.
   */
  readonly handle?: KeyHandle;
}

/** Of backends that have keys without a public half. Errors, beside those named: INVALID_ARGUMENT (handle), KEY_NOT_FOUND, KEY_UNAVAILABLE. */
export interface SecretKeys {
  /** As KeyStore's own; durable when it resolves. Errors: OPERATION_NOT_SUPPORTED for a type that it does not make. */
  generate(keyType: SecretKeyType, options?: NewKeyOptions): Promise<KeyHandle>;
  /**
   * AES-GCM with a random initialization vector of 12 octets and a tag of 16: vector, ciphertext, tag, one after the other. Whoever asks counts,
   * see GCM_LIMIT. Errors: KEY_USE_REFUSED for an HMAC key.
   */
  encrypt(handle: KeyHandle, plaintext: Buffer, additionalData: Buffer): Promise<Buffer>;
  /** Errors: DECRYPTION_FAILED; KEY_USE_REFUSED for an HMAC key. */
  decrypt(handle: KeyHandle, sealed: Buffer, additionalData: Buffer): Promise<Buffer>;
  /** The whole HMAC. Errors: KEY_USE_REFUSED for an AES key. */
  mac(handle: KeyHandle, data: Buffer): Promise<Buffer>;
}

/** The master keys of a backend, and the keys under them. */
export interface MasterKeyStatus {
  /** Id of the one that new keys go under. */
  readonly current: string;
  /** Ids of those of before that are still there. */
  readonly earlier: readonly string[];
  readonly keys: number;
  /** Of these, the ones that are not under the current one yet. */
  readonly keysUnderEarlier: number;
}

/**
 * Of backends whose keys lie under a master key that can be replaced while keys are made and used. How far it is stands in the files alone, so whoever dies
 * goes on after the next start.
 */
export interface MasterKeyRotation {
  status(): Promise<MasterKeyStatus>;
  /**
   * Makes the master key that comes after `replaces`, and is the current one when this resolves with its id. Of two at one time one does. Absent: whoever keeps
   * it elsewhere makes it there. Errors: CONFLICT when `replaces`, an id, is not the current one.
   */
  begin?(replaces: string): Promise<string>;
  /**
   * Puts up to so many keys under the current master key; resolves with how many are left. Errors: KEY_UNAVAILABLE for one that cannot be opened, once all
   * the others had their turn.
   */
  rewrapNext(limit: number): Promise<number>;
  /** Removes the earlier master keys. Absent: as above. Errors: CONFLICT while a key is under one of them. */
  end?(): Promise<void>;
}

/**
 * Of backends that find keys by name. Two who ask for the same name have the same key, so nobody who was second removes it by its handle while the other
 * may still write it down.
 */
export interface NamedKeys {
  /** Destroys the key that `generate` would find; true afterwards whether or not there was one. Errors: KEY_UNAVAILABLE. */
  remove(keyType: AnyKeyType, name: string): Promise<void>;
}

/** Of backends whose keys die with the process: one that is not there any more never comes back. */
export interface VolatileKeys {
  has(handle: KeyHandle): boolean;
}

/** Of backends whose private keys decrypt: RSAES-OAEP (RFC 8017 §7.1), SHA-256 for hash and MGF1. Errors as those of SecretKeys. */
export interface PrivateDecryption {
  /** A pair that decrypts, and is not to sign; durable when it resolves. */
  generate(keyType: RsaKeyType, options?: NewKeyOptions): Promise<KeyHandle>;
  /** Errors: DECRYPTION_FAILED. */
  decrypt(handle: KeyHandle, ciphertext: Buffer, label: Buffer): Promise<Buffer>;
}

/**
 * Where private keys live. A key never leaves it in the clear.
 * What only some backends can do is an interface of its own, which the others do not have.
 */
export interface KeyStore {
  /** As `pkcs8`: in metrics, key rows and messages. */
  readonly backend: string;
  /** Known also while it cannot be asked. */
  readonly type: BackendType;
  /**
   * A new key pair, durable when this resolves. A backend that can find keys by name gives the
   * key that an earlier call with the same `name` made: whoever died before it wrote the handle down leaves no key behind that is paid for.
   * Errors: INVALID_ARGUMENT for an unknown type, OPERATION_NOT_SUPPORTED for one that the backend does not make, KEY_UNAVAILABLE.
   */
  generate(keyType: PairKeyType, options?: NewKeyOptions): Promise<KeyHandle>;
  /** SubjectPublicKeyInfo, DER. Errors: INVALID_ARGUMENT (handle), KEY_NOT_FOUND, KEY_UNAVAILABLE. */
  publicKey(handle: KeyHandle): Promise<Buffer>;
  /**
   * Hashes `data` with the key type's hash and signs it: ECDSA with SHA-256, SHA-384, SHA-512 by curve, RSA PKCS #1 v1.5 with
   * SHA-256, Ed25519 and ML-DSA (pure, with no context) without a hash of its own. `format` has an effect on ECDSA alone.
   * Errors: INVALID_ARGUMENT (handle), KEY_NOT_FOUND, KEY_UNAVAILABLE.
   */
  sign(
    handle: KeyHandle,
    data: Buffer,
    options: { readonly format: SignatureFormat },
  ): Promise<Buffer>;
  /** Signs what comes in parts, as `sign` would the whole. Errors: those of `sign`. */
  startSignature(
    handle: KeyHandle,
    options: { readonly format: SignatureFormat },
  ): Promise<OpenSignature>;
  /** Destroys the key; true afterwards whether or not it was there. Errors: INVALID_ARGUMENT (handle). */
  remove(handle: KeyHandle): Promise<void>;
  /**
   * Which of these private and secret keys are not there, by what the place says where they lie: nothing is remembered here. One that waits for its end in a KMS
   * is not there. In the order asked. Errors: INVALID_ARGUMENT (handle), KEY_UNAVAILABLE.
   */
  missing(handles: readonly KeyHandle[]): Promise<KeyHandle[]>;
  /** Errors: KEY_UNAVAILABLE while it cannot be asked. */
  facts(): Promise<BackendFacts>;
  /** Resolves when keys can be used now. Errors: KEY_UNAVAILABLE, with a message for operators. */
  check(): Promise<void>;
  readonly secretKeys?: SecretKeys;
  readonly privateDecryption?: PrivateDecryption;
  readonly masterKeyRotation?: MasterKeyRotation;
  readonly namedKeys?: NamedKeys;
  readonly volatileKeys?: VolatileKeys;
}

const HANDLE = /^[A-Za-z0-9-]{1,255}$/;

/** True for an opaque id: the text of a handle, or of a key's id. */
export function isKeyHandle(text: unknown): text is KeyHandle {
  return typeof text === 'string' && HANDLE.test(text);
}

/** The text as a handle. Errors: INVALID_ARGUMENT for anything but an opaque id, so that no handle can be a path (CWE-22). */
export function parseKeyHandle(text: string): KeyHandle {
  if (isKeyHandle(text)) return text;
  throw new GigvaultError('INVALID_ARGUMENT', 'A key id has 1 to 255 letters, digits and dashes.');
}

/** One that no key has had. */
export function randomHandle(): KeyHandle {
  return parseKeyHandle(randomUUID());
}
