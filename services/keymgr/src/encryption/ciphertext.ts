import { decryptionFailed, GCM_IV_OCTETS, GCM_TAG_OCTETS } from '@gigvault/keystore/secret-key';

/** The first octet of a ciphertext: its form. */
const FORM = 1;
/** Form, and version of the key in four octets, the highest first. */
export const HEADER_OCTETS = 5;
/** What a ciphertext by AES is longer than its plaintext, in octets. */
export const AES_OVERHEAD = HEADER_OCTETS + GCM_IV_OCTETS + GCM_TAG_OCTETS;

/** A ciphertext that says which version of its key decrypts it. */
export interface Ciphertext {
  readonly version: number;
  /** As it stands in front; AES-GCM authenticates it. */
  readonly header: Buffer;
  /** What the backend made. */
  readonly sealed: Buffer;
}

/** The header of what this version encrypts. */
export function headerOf(version: number): Buffer {
  const header = Buffer.alloc(HEADER_OCTETS, FORM);
  header.writeUInt32BE(version, 1);
  return header;
}

/** Errors: DECRYPTION_FAILED for what is not of this form. */
export function readCiphertext(octets: Buffer): Ciphertext {
  if (octets.length <= HEADER_OCTETS || octets[0] !== FORM) throw decryptionFailed();
  const header = octets.subarray(0, HEADER_OCTETS);
  return { version: header.readUInt32BE(1), header, sealed: octets.subarray(HEADER_OCTETS) };
}
