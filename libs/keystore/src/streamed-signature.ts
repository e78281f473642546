import { createSign, type KeyObject } from 'node:crypto';
import { algorithmOf, encodingOf, signWith } from './key-algorithm.ts';
import type { SignatureFormat } from './key-store.ts';
import { pairKeyTypeOf } from './pair-key.ts';

/** A signature over data that comes in parts and is never held as a whole. */
export interface OpenSignature {
  update(part: Buffer): void;
  /** The signature over all parts; once. */
  sign(): Promise<Buffer>;
}

/** The hash of the key's type runs along. Ed25519 reads its data twice (RFC 8032 §5.1.6) and ML-DSA is not asked for parts, so there they are kept. */
export function startSignature(privateKey: KeyObject, format: SignatureFormat): OpenSignature {
  const { hash } = algorithmOf(pairKeyTypeOf(privateKey));
  if (hash === null) return wholeSignature((data) => signWith(privateKey, data, format));
  const signing = createSign(hash);
  return {
    update: (part) => void signing.update(part),
    sign: async () => signing.sign({ key: privateKey, dsaEncoding: encodingOf(format) }),
  };
}

/** Keeps the parts and signs the whole, for a scheme that cannot do otherwise. */
export function wholeSignature(sign: (data: Buffer) => Promise<Buffer>): OpenSignature {
  const parts: Buffer[] = [];
  return {
    update: (part) => void parts.push(Buffer.from(part)),
    sign: () => sign(Buffer.concat(parts)),
  };
}
