import { createHash, createPublicKey, verify } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';

/** A signed tree head. */
export interface TreeHead {
  /** The log's name, as `gigvault.local/audit`. */
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
}

/** A parsed note: the tree head, and what is signed. */
export interface CheckpointNote extends TreeHead {
  /** The signed text, its last newline included. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** One signature line. */
export interface NoteSignature {
  readonly name: string;
  readonly keyHash: Buffer;
  readonly signature: Buffer;
}

const EM_DASH = '\u2014';
const SIZE = /^(0|[1-9][0-9]{0,15})$/;

/** What is signed: three lines, origin, size and root in base64 (C2SP tlog-checkpoint). */
export function checkpointText({ origin, size, root }: TreeHead): string {
  return `${origin}\n${size}\n${root.toString('base64')}\n`;
}

/**
 * The signed note (C2SP signed-note): the text, an empty line, and the signature line of the key `publicKey` (SubjectPublicKeyInfo, DER).
 * `signature` is ECDSA P-256 with SHA-256 over the text, in DER. The key's name is the origin.
 */
export function checkpointNote(head: TreeHead, publicKey: Buffer, signature: Buffer): string {
  const line = Buffer.concat([keyHash(publicKey), signature]).toString('base64');
  return `${checkpointText(head)}\n${EM_DASH} ${head.origin} ${line}\n`;
}

/** The four octets that name an ECDSA key in a signature line: the start of SHA-256 over its SubjectPublicKeyInfo (C2SP signed-note, type 2). */
export function keyHash(publicKey: Buffer): Buffer {
  return createHash('sha256').update(publicKey).digest().subarray(0, 4);
}

/** Reads a note without verifying it. Errors: INVALID_ARGUMENT. */
export function parseCheckpoint(note: string): CheckpointNote {
  const end = note.lastIndexOf('\n\n');
  const text = note.slice(0, end + 1);
  const [origin, size, root, rest] = text.split('\n');
  const hash = Buffer.from(root ?? '', 'base64');
  const wellFormed =
    end > 0 &&
    origin &&
    SIZE.test(size ?? '') &&
    hash.length === 32 &&
    hash.toString('base64') === root;
  if (!wellFormed || rest !== '') throw malformed();
  const lines = note.slice(end + 2).split('\n');
  if (lines.pop() !== '' || lines.length === 0) throw malformed();
  return { origin, size: Number(size), root: hash, text, signatures: lines.map(parseSignature) };
}

/**
 * The tree head of a note that is signed by `publicKey` (SubjectPublicKeyInfo, DER) and comes from `origin`. Errors: INVALID_ARGUMENT when the
 * note is malformed; FORBIDDEN when it is of another origin or no signature of this key is valid.
 */
export function verifyCheckpoint(note: string, publicKey: Buffer, origin: string): CheckpointNote {
  const parsed = parseCheckpoint(note);
  if (parsed.origin !== origin) {
    throw new GigvaultError(
      'FORBIDDEN',
      `The checkpoint is of ${parsed.origin}, not of ${origin}.`,
    );
  }
  const hash = keyHash(publicKey);
  const key = createPublicKey({ key: publicKey, format: 'der', type: 'spki' });
  const isValid = parsed.signatures.some(
    (line) =>
      line.name === origin &&
      line.keyHash.equals(hash) &&
      verify('sha256', Buffer.from(parsed.text), key, line.signature),
  );
  if (!isValid) throw new GigvaultError('FORBIDDEN', 'The checkpoint is not signed by this key.');
  return parsed;
}

function parseSignature(line: string): NoteSignature {
  const [dash, name, base64, ...rest] = line.split(' ');
  const bytes = Buffer.from(base64 ?? '', 'base64');
  if (
    dash !== EM_DASH ||
    !name ||
    rest.length > 0 ||
    bytes.length < 5 ||
    bytes.toString('base64') !== base64
  ) {
    throw malformed();
  }
  return { name, keyHash: bytes.subarray(0, 4), signature: bytes.subarray(4) };
}

function malformed(): GigvaultError {
  return new GigvaultError('INVALID_ARGUMENT', 'This is not a signed checkpoint.');
}
