import type { KeyObject } from 'node:crypto';

/** The key that signs access tokens. */
export interface TokenSigner {
  /** The verifying key. The first call makes the key pair when there is none. */
  publicKey(): Promise<KeyObject>;
  /**
   * Signs a JWS signing input with ES256.
   * @returns r || s, 64 octets (RFC 7518 §3.4).
   */
  sign(signingInput: Buffer): Promise<Buffer>;
}
