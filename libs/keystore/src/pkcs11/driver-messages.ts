import type { ErrorRecord } from '@gigvault/errors/gigvault-error';
import type { KeyType } from '@gigvault/x509/public-key';
import type { AnyKeyType, PairKeyType, SecretKeyType } from '../key-types.ts';
import type { TokenQuery } from './pkcs11-uri.ts';

/** What the driver needs to reach its token. Goes over the channel and nowhere else: arguments and environments can be read by others. */
export interface OpenToken {
  readonly modulePath: string;
  readonly token: TokenQuery;
  readonly pin: string;
  /** Undefined: as many as the vendor's file says. */
  readonly sessions: number | undefined;
}

/** What is asked of the driver. */
export type DriverCall =
  | {
      readonly method: 'generate';
      readonly handle: string;
      readonly keyType: PairKeyType;
      readonly label: string;
    }
  | { readonly method: 'publicKey'; readonly handle: string }
  | {
      readonly method: 'sign';
      readonly handle: string;
      readonly keyType: KeyType;
      /** A digest, a DigestInfo (RFC 8017 §9.2) or for Ed25519 the whole message. */
      readonly data: Uint8Array;
    }
  | {
      readonly method: 'generateSecret';
      readonly handle: string;
      readonly keyType: SecretKeyType;
      readonly label: string;
    }
  | {
      /** AES-GCM; what is decrypted, and the answer of `encrypt`, has the tag at its end. */
      readonly method: 'encrypt' | 'decrypt';
      readonly handle: string;
      readonly iv: Uint8Array;
      readonly data: Uint8Array;
      readonly additionalData: Uint8Array;
    }
  | { readonly method: 'mac'; readonly handle: string; readonly data: Uint8Array }
  | { readonly method: 'missing'; readonly handles: readonly string[] }
  | { readonly method: 'remove'; readonly handle: string }
  | { readonly method: 'changePin'; readonly newPin: string }
  | { readonly method: 'check' };

/** Whether it makes a key, which may take long. */
export function makesKey({ method }: DriverCall): boolean {
  return method === 'generate' || method === 'generateSecret';
}

/** A call under its number; answers come in any order. */
export type NumberedCall = DriverCall & { readonly id: number };

/** An answer: the signature, the SubjectPublicKeyInfo, an octet a handle that is missing (1) or not (0), or nothing. */
export type DriverAnswer =
  | { readonly id: number; readonly value: Uint8Array | undefined }
  | { readonly id: number; readonly error: ErrorRecord };

/** To the driver: once `open`, then calls, many in a message. */
export type ToDriver =
  | { readonly open: OpenToken }
  | { readonly calls: readonly NumberedCall[] }
  | { readonly close: true };

/** From the driver. After `failed` it is of no use any more. */
export type FromDriver =
  | { readonly opened: OpenedToken }
  | { readonly answers: readonly DriverAnswer[] }
  | { readonly failed: DriverFailure };

/** The token that was found. */
export interface OpenedToken {
  /** For operators, as `token 'ca' (SoftHSM v2, serial 0a1b)`. */
  readonly description: string;
  readonly keyTypes: readonly AnyKeyType[];
  /** CKF_HW_SLOT. */
  readonly hardware: boolean;
  /** As the token says it, without the blanks behind it. */
  readonly serialNumber: string;
  /** How long a PIN may be, in octets; ends included (ulMinPinLen, ulMaxPinLen). */
  readonly pinLength: { readonly min: number; readonly max: number };
}

/** Why the driver gives up. */
export interface DriverFailure {
  readonly message: string;
  /** The PIN was refused: tried again, it would lock the token. */
  readonly pinRefused: boolean;
  /** There is no such library: nobody waits for another process to find it. */
  readonly noLibrary: boolean;
}
