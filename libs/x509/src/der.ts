import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { TAG } from './der-tag.ts';
import { oidOctets, oidText, stringText, timeDigits, timeMs, utcTimeMs } from './der-values.ts';

/** Bytes that are not the DER that was expected, or a value that DER cannot hold. Leaves a service as INVALID_ARGUMENT. */
export class DerError extends GigvaultError {
  constructor(message: string, cause?: unknown) {
    super('INVALID_ARGUMENT', message, { cause });
  }
}

const MAX_LENGTH = 0xffffffff;

/** One element: tag octet, minimal length, the parts' bytes as content. */
export function tlv(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = Buffer.allocUnsafe(headerLength(length) + length);
  let offset = writeHeader(out, tag, length);
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

/** Tag octet and length of an element whose content comes separately. */
export function header(tag: number, length: number): Buffer {
  const out = Buffer.allocUnsafe(headerLength(length));
  writeHeader(out, tag, length);
  return out;
}

function headerLength(length: number): number {
  if (length > MAX_LENGTH) throw new DerError('An element is longer than 4 GiB.');
  if (length < 0x80) return 2;
  if (length < 0x100) return 3;
  if (length < 0x10000) return 4;
  return length < 0x1000000 ? 5 : 6;
}

function writeHeader(out: Buffer, tag: number, length: number): number {
  out[0] = tag;
  if (length < 0x80) {
    out[1] = length;
    return 2;
  }
  const octets = headerLength(length) - 2;
  out[1] = 0x80 | octets;
  out.writeUIntBE(length, 2, octets);
  return 2 + octets;
}

/** SEQUENCE or SEQUENCE OF. */
export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return tlv(TAG.sequence, ...parts);
}

/** SET OF: the members are put in DER order (X.690 §11.6). */
export function set(...members: readonly Uint8Array[]): Buffer {
  if (members.length < 2) return tlv(TAG.set, ...members);
  return tlv(TAG.set, ...[...members].sort(Buffer.compare));
}

/** `[n]` constructed: EXPLICIT around one element, or IMPLICIT for a constructed type. `n` is 0 to 30. */
export function contextConstructed(n: number, ...parts: readonly Uint8Array[]): Buffer {
  return tlv(0xa0 | n, ...parts);
}

/** `[n]` primitive: IMPLICIT for a primitive type. `n` is 0 to 30. */
export function contextPrimitive(n: number, content: Uint8Array): Buffer {
  return tlv(0x80 | n, content);
}

/** OCTET STRING over the concatenated parts. */
export function octetString(...parts: readonly Uint8Array[]): Buffer {
  return tlv(TAG.octetString, ...parts);
}

/** BIT STRING. `unusedBits` (0 to 7) counts the low bits of the last octet, which must be zero. */
export function bitString(content: Uint8Array, unusedBits = 0): Buffer {
  return tlv(TAG.bitString, Buffer.of(unusedBits), content);
}

/** INTEGER, minimal. Octets are an unsigned big-endian magnitude; numbers must be safe integers. */
export function integer(value: bigint | number | Uint8Array): Buffer {
  return tlv(TAG.integer, integerContent(value));
}

/** ENUMERATED, 0 to 127. */
export function enumerated(value: number): Buffer {
  return tlv(TAG.enumerated, Buffer.of(value & 0x7f));
}

function integerContent(value: bigint | number | Uint8Array): Uint8Array {
  if (typeof value === 'number') return signedOctets(BigInt(value));
  if (typeof value === 'bigint') return signedOctets(value);
  let start = 0;
  while (start < value.length - 1 && value[start] === 0) start++;
  const magnitude = value.subarray(start);
  if (magnitude.length === 0) return Buffer.of(0);
  return magnitude[0]! & 0x80 ? Buffer.concat([Buffer.of(0), magnitude]) : magnitude;
}

function signedOctets(value: bigint): Buffer {
  let octets = 1;
  while (BigInt.asIntN(octets * 8, value) !== value) octets++;
  const hex = BigInt.asUintN(octets * 8, value).toString(16);
  return Buffer.from(hex.padStart(octets * 2, '0'), 'hex');
}

/** OBJECT IDENTIFIER from dotted decimals, as `2.5.4.3`; throws DerError for anything else. */
export function oid(dotted: string): Buffer {
  return tlv(TAG.oid, oidOctets(dotted) ?? refuse('Not an object identifier.'));
}

/** UTF8String. */
export function utf8String(text: string): Buffer {
  return tlv(TAG.utf8String, Buffer.from(text, 'utf8'));
}

/** PrintableString; throws DerError for characters outside its alphabet (X.680 §41.4). */
export function printableString(text: string): Buffer {
  if (!/^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text)) {
    throw new DerError('Text has characters that PrintableString cannot hold.');
  }
  return tlv(TAG.printableString, Buffer.from(text, 'latin1'));
}

/** IA5String; throws DerError for what is not ASCII. */
export function ia5String(text: string): Buffer {
  return tlv(TAG.ia5String, asciiOctets(text));
}

/** The text's ASCII octets, for IMPLICIT IA5String; throws DerError for what is not ASCII. */
export function asciiOctets(text: string): Buffer {
  const octets = Buffer.from(text, 'utf8');
  if (octets.length !== text.length) throw new DerError('Text is not ASCII.');
  return octets;
}

/** BOOLEAN, `ff` for true (X.690 §11.1). */
export function boolean(value: boolean): Buffer {
  return Buffer.of(TAG.boolean, 1, value ? 0xff : 0);
}

/** NULL. A fresh buffer each time, so that nobody can change another's. */
export function nullValue(): Buffer {
  return Buffer.of(TAG.null, 0);
}

/** Time of RFC 5280 §4.1.2.5: UTCTime to the end of 2049, GeneralizedTime after. Unix ms; parts of a second are cut off. */
export function utcOrGeneralizedTime(ms: number): Buffer {
  const digits = timeDigits(ms) ?? refuse('A time is out of range.');
  if (digits >= '2050') return tlv(TAG.generalizedTime, Buffer.from(`${digits}Z`, 'latin1'));
  if (digits < '1950') throw new DerError('UTCTime starts in 1950.');
  return tlv(TAG.utcTime, Buffer.from(`${digits.slice(2)}Z`, 'latin1'));
}

/** GeneralizedTime `YYYYMMDDHHMMSSZ`. Unix ms up to the end of 9999; parts of a second are cut off. */
export function generalizedTime(ms: number): Buffer {
  const digits = timeDigits(ms) ?? refuse('A time is out of range.');
  return tlv(TAG.generalizedTime, Buffer.from(`${digits}Z`, 'latin1'));
}

function refuse(message: string): never {
  throw new DerError(message);
}

/** The same memory as a Buffer, not a copy. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

const MAX_DEPTH = 32;

/**
 * A cursor over strict DER (X.690 §10): definite minimal lengths, single-octet tags, at most 32 levels. Every method moves
 * past one element or throws DerError, and nothing else. Returned buffers are views of the input, not copies.
 */
export class DerReader {
  readonly #bytes: Buffer;
  readonly #depth: number;
  #offset = 0;

  /** @param depth Levels above this one; leave it out. */
  constructor(bytes: Uint8Array, depth = 0) {
    if (depth > MAX_DEPTH) throw new DerError('Elements are nested too deeply.');
    this.#bytes = bufferOf(bytes);
    this.#depth = depth;
  }

  /** True when nothing is left. */
  get done(): boolean {
    return this.#offset >= this.#bytes.length;
  }

  /** The next element's tag octet, or -1 at the end. */
  peek(): number {
    return this.#bytes[this.#offset] ?? -1;
  }

  /** True when the next element has this tag octet. */
  is(tag: number): boolean {
    return this.peek() === tag;
  }

  /** Throws DerError unless everything was read. */
  expectEnd(): void {
    if (!this.done) throw new DerError('There are bytes after the last expected element.');
  }

  /** The next element whole, header included. */
  element(tag?: number): Buffer {
    const start = this.#offset;
    this.content(tag);
    return this.#bytes.subarray(start, this.#offset);
  }

  /** The next element's content. */
  content(tag?: number): Buffer {
    const bytes = this.#bytes;
    let offset = this.#offset;
    if (offset + 2 > bytes.length) throw new DerError('An element is cut short.');
    const found = bytes[offset]!;
    if ((found & 0x1f) === 0x1f) throw new DerError('Tags above 30 are not supported.');
    if (tag !== undefined && found !== tag) {
      throw new DerError(`Expected tag 0x${tag.toString(16)} but found 0x${found.toString(16)}.`);
    }
    let length = bytes[offset + 1]!;
    offset += 2;
    if (length >= 0x80) {
      const octets = length & 0x7f;
      length = this.#longLength(offset, octets);
      offset += octets;
    }
    if (length > bytes.length - offset) throw new DerError('An element is cut short.');
    this.#offset = offset + length;
    return bytes.subarray(offset, offset + length);
  }

  #longLength(offset: number, octets: number): number {
    if (octets === 0) throw new DerError('Indefinite lengths are not DER.');
    if (octets > 4) throw new DerError('A length is too long.');
    if (offset + octets > this.#bytes.length) throw new DerError('An element is cut short.');
    const length = this.#bytes.readUIntBE(offset, octets);
    const minimal = octets === 1 ? length >= 0x80 : length >= 2 ** (8 * (octets - 1));
    if (!minimal) throw new DerError('A length is not minimal.');
    return length;
  }

  /** A reader over the next element's content; the element must be constructed. */
  enter(tag: number): DerReader {
    if ((tag & 0x20) === 0) throw new DerError('A primitive element has no members.');
    return new DerReader(this.content(tag), this.#depth + 1);
  }

  /** A reader over the members of a SEQUENCE. */
  sequence(): DerReader {
    return this.enter(TAG.sequence);
  }

  /** A reader over the members of a SET. The order of SET OF is not checked. */
  set(): DerReader {
    return this.enter(TAG.set);
  }

  /** A reader over `[n]` when it comes next, else undefined. */
  optionalContext(n: number): DerReader | undefined {
    return this.is(0xa0 | n) ? this.enter(0xa0 | n) : undefined;
  }

  /** A reader over the DER inside an OCTET STRING. */
  octetStringReader(): DerReader {
    return new DerReader(this.content(TAG.octetString), this.#depth + 1);
  }

  /** INTEGER's content octets: minimal two's complement, at least one octet. */
  integerOctets(tag: number = TAG.integer): Buffer {
    const octets = this.content(tag);
    const [first, second] = octets;
    if (first === undefined) throw new DerError('An INTEGER is empty.');
    const padded =
      second !== undefined && (first === 0 ? second < 0x80 : first === 0xff && second >= 0x80);
    if (padded) throw new DerError('An INTEGER is not minimal.');
    return octets;
  }

  /** INTEGER of any size. */
  integer(): bigint {
    const octets = this.integerOctets();
    return BigInt.asIntN(octets.length * 8, BigInt(`0x${octets.toString('hex')}`));
  }

  /** INTEGER (or ENUMERATED, with its tag) from 0 to 2^31 - 1. */
  smallInteger(tag: number = TAG.integer): number {
    const octets = this.integerOctets(tag);
    if (octets.length > 4 || octets[0]! >= 0x80) throw new DerError('A number is out of range.');
    return octets.readUIntBE(0, octets.length);
  }

  /** BOOLEAN, `00` or `ff`. */
  boolean(): boolean {
    const octets = this.content(TAG.boolean);
    if (octets.length !== 1 || (octets[0] !== 0 && octets[0] !== 0xff)) {
      throw new DerError('A BOOLEAN is neither 00 nor ff.');
    }
    return octets[0] === 0xff;
  }

  /** NULL. */
  null(): void {
    if (this.content(TAG.null).length !== 0) throw new DerError('A NULL is not empty.');
  }

  /** OCTET STRING. */
  octetString(): Buffer {
    return this.content(TAG.octetString);
  }

  /** BIT STRING; unused bits must be zero (X.690 §11.2). */
  bitString(): { readonly unusedBits: number; readonly octets: Buffer } {
    const content = this.content(TAG.bitString);
    const unusedBits = content[0];
    const last = content.length > 1 ? content[content.length - 1]! : 0;
    const valid = unusedBits !== undefined && unusedBits <= (content.length > 1 ? 7 : 0);
    if (!valid || (last & ((1 << unusedBits) - 1)) !== 0)
      throw new DerError('A BIT STRING is malformed.');
    return { unusedBits, octets: content.subarray(1) };
  }

  /** BIT STRING of whole octets. */
  bitOctets(): Buffer {
    const { unusedBits, octets } = this.bitString();
    if (unusedBits !== 0) throw new DerError('A BIT STRING is not a whole number of octets.');
    return octets;
  }

  /** OBJECT IDENTIFIER in dotted decimals. */
  oid(): string {
    return oidText(this.content(TAG.oid)) ?? refuse('An object identifier is malformed.');
  }

  /** UTCTime or GeneralizedTime in the forms of RFC 5280 §4.1.2.5, Unix ms. */
  time(): number {
    if (this.is(TAG.generalizedTime)) return this.generalizedTime();
    return utcTimeMs(this.content(TAG.utcTime)) ?? refuse('A time is malformed.');
  }

  /** GeneralizedTime `YYYYMMDDHHMMSSZ`, Unix ms. */
  generalizedTime(): number {
    return timeMs(this.content(TAG.generalizedTime)) ?? refuse('A time is malformed.');
  }

  /** A string of any of the common types, as text. */
  string(): string {
    const tag = this.peek();
    return stringText(tag, this.content()) ?? refuse('A string is malformed, or not a string.');
  }
}
