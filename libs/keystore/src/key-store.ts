import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { KeyType } from '@gigvault/x509/public-key';
import type { OpenSignature } from './streamed-signature.ts';

declare const keyHandle: unique symbol;

/** Names a private key inside its backend. Opaque: `^[A-Za-z0-9-]{1,255}$`, never a path. */
export type KeyHandle = string & { readonly [keyHandle]: true };

/** ECDSA only: `der` is the SEQUENCE that X.509 wants (RFC 3279 §2.2.3), `p1363` is r and s side by side as JWS wants (RFC 7518 §3.4). */
export type SignatureFormat = 'der' | 'p1363';

/** What a backend is and what it can do, for operators. */
export interface BackendFacts {
  readonly type: 'memory' | 'pkcs8' | 'pkcs11';
  /** As `token 'ca' (SoftHSM v2, serial 0a1b)`. */
  readonly description: string;
  /** What it makes and signs with. */
  readonly keyTypes: readonly KeyType[];
  /** As the backend says it: software may call itself hardware. */
  readonly hardware: boolean;
  /** Undefined: it does not say. */
  readonly fips: boolean | undefined;
}

/**
 * Where private keys live. A key never leaves it in the clear.
 * What only some backends can do (import, wrap, decrypt, attest) will be separate interfaces.
 */
export interface KeyStore {
  /** As `pkcs8`: in metrics, key rows and messages. */
  readonly backend: string;
  /**
   * A new key pair, durable when this resolves. A backend that shows names to its operators shows `label`.
   * Errors: INVALID_ARGUMENT for an unknown type, OPERATION_NOT_SUPPORTED for one that the backend does not make, KEY_UNAVAILABLE.
   */
  generate(keyType: KeyType, options?: { readonly label?: string }): Promise<KeyHandle>;
  /** SubjectPublicKeyInfo, DER. Errors: INVALID_ARGUMENT (handle), KEY_NOT_FOUND, KEY_UNAVAILABLE. */
  publicKey(handle: KeyHandle): Promise<Buffer>;
  /**
   * Hashes `data` with the key type's hash and signs it: ECDSA with SHA-256, SHA-384, SHA-512 by curve, RSA PKCS #1 v1.5 with
   * SHA-256, Ed25519 without a hash of its own. `format` has no effect on RSA and Ed25519.
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
  /** Errors: KEY_UNAVAILABLE while it cannot be asked. */
  facts(): Promise<BackendFacts>;
  /** Resolves when keys can be used now. Errors: KEY_UNAVAILABLE, with a message for operators. */
  check(): Promise<void>;
}

const HANDLE = /^[A-Za-z0-9-]{1,255}$/;

/** The text as a handle. Errors: INVALID_ARGUMENT for anything but an opaque id, so that no handle can be a path (CWE-22). */
export function parseKeyHandle(text: string): KeyHandle {
  if (!HANDLE.test(text)) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      'A key id has 1 to 255 letters, digits and dashes.',
    );
  }
  return text as KeyHandle;
}
