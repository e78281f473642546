/** A signed tree head. */
export interface SignedCheckpoint {
  readonly treeSize: number;
  readonly rootHash: Buffer;
  /** When it was signed, Unix milliseconds. */
  readonly timestamp: number;
  /** C2SP signed note. */
  readonly note: string;
  /** SubjectPublicKeyInfo of the key that signed it, DER. */
  readonly publicKey: Buffer;
}

/** Where tree heads are kept, all of them. */
export interface CheckpointStore {
  newest(): Promise<SignedCheckpoint | undefined>;
  /** Keeps the one that is there when there is one of this size. */
  add(checkpoint: SignedCheckpoint): Promise<void>;
}

/** The audit key. */
export interface CheckpointSigner {
  /** SubjectPublicKeyInfo, DER. Makes the key when there is none yet. */
  publicKey(): Promise<Buffer>;
  /** ECDSA P-256 with SHA-256, DER. */
  sign(text: Buffer): Promise<Buffer>;
}
