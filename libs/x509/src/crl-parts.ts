import { type ParsedTbsCertList, readCrlEntry, readTbsCertList } from './crl.ts';
import { DerError, DerReader, header } from './der.ts';
import { TAG } from './der-tag.ts';

/** What is known of a TBSCertList once all of its parts were seen. */
export type CheckedTbsCertList = Omit<ParsedTbsCertList, 'tbs' | 'entries'>;

/** Checks a TBSCertList that arrives in parts: as strictly as reading the whole and each of its entries, without ever holding it. */
export interface TbsCertListChecker {
  /**
   * The next part: first what stands before the first entry, then whole entries (as many as one likes in a part), last what stands
   * behind them. Throws DerError; then the list is refused and the checker of no more use.
   */
  push(part: Buffer): void;
  /** All octets were seen. Throws DerError when some are missing. */
  end(): CheckedTbsCertList;
}

/** The most that stands before or behind the entries. */
const LARGEST_FRAME = 16_384;

/** @param length octets of the whole list, as its sender says; what comes is held against it. */
export function checkTbsCertList(length: number): TbsCertListChecker {
  let head: Buffer | undefined;
  let entriesLeft = 0;
  let seen = 0;
  let checked: CheckedTbsCertList | undefined;

  function take(part: Buffer): void {
    if (head === undefined) {
      entriesLeft = entriesLengthOf(part, length);
      // A copy: parts are views of a message that is gone afterwards.
      head = Buffer.from(part);
    } else if (entriesLeft > 0) {
      if (part.length > entriesLeft) throw new DerError('There are more entries than announced.');
      checkEntries(part);
      entriesLeft -= part.length;
    } else {
      checked = readFrame(head, part);
    }
  }

  return {
    push(part) {
      seen += part.length;
      if (checked !== undefined || part.length === 0 || seen > length)
        throw new DerError('There is a part too many.');
      take(part);
    },
    end() {
      if (checked === undefined || seen !== length) throw new DerError('The list is cut short.');
      return checked;
    },
  };
}

/** How many octets of entries follow the head; 0 for a list without entries. The frame itself is read when its tail is there. */
function entriesLengthOf(head: Buffer, length: number): number {
  if (head.length > LARGEST_FRAME) throw new DerError('The first part is too long.');
  const outer = lengthAt(head, 0);
  if (head[0] !== TAG.sequence) throw new DerError('The list is no SEQUENCE.');
  if (outer.end + outer.length !== length)
    throw new DerError('The length of the list is not what it was said to be.');
  return headerAtEnd(head) ?? 0;
}

/** The length in the header of revokedCertificates, with which a head ends when there are entries: behind nextUpdate. */
function headerAtEnd(head: Buffer): number | undefined {
  let at = lengthAt(head, 0).end;
  // version, signature, issuer, thisUpdate, nextUpdate
  for (let field = 0; field < 5; field++) {
    const { length, end } = lengthAt(head, at);
    at = end + length;
  }
  if (at === head.length) return undefined;
  const { length, end } = lengthAt(head, at);
  if (head[at] !== TAG.sequence || end !== head.length || length === 0)
    throw new DerError('The first part does not end where the entries begin.');
  return length;
}

/** Length and end of the header at an offset. */
function lengthAt(bytes: Buffer, at: number): { readonly length: number; readonly end: number } {
  const first = bytes[at + 1];
  if (first === undefined) throw new DerError('An element is cut short.');
  const octets = first < 0x80 ? 0 : first & 0x7f;
  const end = at + 2 + octets;
  if (first === 0x80 || octets > 4 || end > bytes.length)
    throw new DerError('A length is malformed.');
  const length = octets === 0 ? first : bytes.readUIntBE(at + 2, octets);
  if (!header(bytes[at] as number, length).equals(bytes.subarray(at, end)))
    throw new DerError('A length is not minimal.');
  return { length, end };
}

/** Reads head and tail as the list without entries that they would be: every rule of readTbsCertList holds. */
function readFrame(head: Buffer, tail: Buffer): CheckedTbsCertList {
  if (tail.length > LARGEST_FRAME) throw new DerError('The last part is too long.');
  const start = lengthAt(head, 0).end;
  const entries = headerAtEnd(head);
  const content = head.subarray(
    start,
    entries === undefined ? head.length : head.length - header(TAG.sequence, entries).length,
  );
  const {
    tbs: _,
    entries: __,
    ...checked
  } = readTbsCertList(
    Buffer.concat([header(TAG.sequence, content.length + tail.length), content, tail]),
  );
  return checked;
}

/** DER of the usual crlEntryExtensions, reasonCode alone, without the code that ends it. */
const REASON = Buffer.from('300c300a0603551d1504030a01', 'hex');
const LONGEST_SERIAL = 20;

/**
 * Checks whole entries. The forms that everybody writes are compared octet by octet, which takes a tenth of the time of reading them;
 * whatever else there is, is read.
 */
function checkEntries(part: Buffer): void {
  let at = 0;
  while (at < part.length) {
    const next = usualEntryEnd(part, at);
    if (next === 0) {
      const rest = new DerReader(part.subarray(at));
      const { length } = rest.element(TAG.sequence);
      readCrlEntry(new DerReader(part.subarray(at, at + length)));
      at += length;
    } else at = next;
  }
}

/** The offset behind the entry at `at` when it has the usual form: positive minimal serial number, UTCTime, no extension or a reason. Else 0. */
function usualEntryEnd(bytes: Buffer, at: number): number {
  const length = bytes[at + 1] as number;
  const end = at + 2 + length;
  const serial = bytes[at + 3] as number;
  const time = at + 4 + serial;
  if (bytes[at] !== 0x30 || length >= 0x80 || end > bytes.length || time + 15 > end) return 0;
  if (bytes[at + 2] !== 0x02 || !isUsualSerial(bytes, at + 4, serial)) return 0;
  if (!isUsualTime(bytes, time)) return 0;
  const extensions = time + 15;
  if (extensions === end) return end;
  return isReason(bytes, extensions, end) ? end : 0;
}

function isUsualSerial(bytes: Buffer, at: number, octets: number): boolean {
  const first = bytes[at] as number;
  return octets >= 2 && octets <= LONGEST_SERIAL && first > 0 && first < 0x80;
}

/** UTCTime with digits in the ranges that every month has; the last days of a month are left to the reader. */
function isUsualTime(bytes: Buffer, at: number): boolean {
  if (bytes[at] !== 0x17 || bytes[at + 1] !== 13 || bytes[at + 14] !== 0x5a) return false;
  const two = (i: number) => {
    const tens = (bytes[at + i] as number) - 0x30;
    const ones = (bytes[at + i + 1] as number) - 0x30;
    return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : 100;
  };
  const month = two(4);
  const day = two(6);
  return (
    two(2) < 100 &&
    month >= 1 &&
    month <= 12 &&
    day >= 1 &&
    day <= 28 &&
    two(8) < 24 &&
    two(10) < 60 &&
    two(12) < 60
  );
}

/** 1 to 6 and 8 to 10: 0 is left out, 7 does not exist (RFC 5280 §5.3.1). */
function isReason(bytes: Buffer, at: number, end: number): boolean {
  if (end - at !== REASON.length + 1) return false;
  for (let i = 0; i < REASON.length; i++) if (bytes[at + i] !== REASON[i]) return false;
  const code = bytes[end - 1] as number;
  return code >= 1 && code <= 10 && code !== 7;
}
