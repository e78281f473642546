import { isUtf8 } from 'node:buffer';
import { TAG } from './der-tag.ts';

const MAX_OID_OCTETS = 64;
const LAST_TIME = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
const FIRST_TIME = Date.parse('0000-01-01T00:00:00Z');

/** The content octets of OBJECT IDENTIFIER (X.690 §8.19), or undefined when `dotted` is not one. */
export function oidOctets(dotted: string): Buffer | undefined {
  const arcs = dotted.split('.').map(Number);
  const [first, second, ...rest] = arcs;
  const valid = /^[0-2](\.(0|[1-9]\d*))+$/.test(dotted) && arcs.every(Number.isSafeInteger);
  if (!valid || (first! < 2 && second! > 39)) return undefined;
  return Buffer.from([first! * 40 + second!, ...rest].flatMap(base128));
}

function base128(arc: number): number[] {
  const octets = [arc % 128];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) {
    octets.unshift((rest % 128) | 0x80);
  }
  return octets;
}

/** Dotted decimals; undefined when malformed, not minimal, over 64 octets or with an arc over 2^53. */
export function oidText(octets: Buffer): string | undefined {
  const last = octets[octets.length - 1];
  if (last === undefined || last >= 0x80 || octets.length > MAX_OID_OCTETS) return undefined;
  let text = '';
  let arc = 0;
  let fresh = true;
  for (const octet of octets) {
    if (fresh && octet === 0x80) return undefined;
    arc = arc * 128 + (octet & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER) return undefined;
    fresh = octet < 0x80;
    if (!fresh) continue;
    text = text === '' ? firstArcs(arc) : `${text}.${arc}`;
    arc = 0;
  }
  return text;
}

function firstArcs(value: number): string {
  const first = Math.min(2, Math.floor(value / 40));
  return `${first}.${value - first * 40}`;
}

/** As `20261121224455`, UTC; undefined outside the years 0000 to 9999. Unix ms; parts of a second are cut off. */
export function timeDigits(ms: number): string | undefined {
  if (!(ms >= FIRST_TIME && ms <= LAST_TIME)) return undefined;
  const iso = new Date(ms).toISOString();
  // Slices, since a CRL has a time in every entry and a regular expression is several times slower.
  return (
    iso.slice(0, 4) +
    iso.slice(5, 7) +
    iso.slice(8, 10) +
    iso.slice(11, 13) +
    iso.slice(14, 16) +
    iso.slice(17, 19)
  );
}

/** Unix ms of the ASCII octets `YYYYMMDDHHMMSSZ`; undefined for any other form and for dates that do not exist. */
export function timeMs(octets: Uint8Array): number | undefined {
  if (octets.length !== 15 || octets[14] !== 0x5a) return undefined;
  const year = twoDigits(octets, 0) * 100 + twoDigits(octets, 2);
  return dateMs(year, octets, 4);
}

/** Unix ms of the ASCII octets `YYMMDDHHMMSSZ`, years 1950 to 2049; undefined as timeMs. */
export function utcTimeMs(octets: Uint8Array): number | undefined {
  if (octets.length !== 13 || octets[12] !== 0x5a) return undefined;
  const year = twoDigits(octets, 0);
  return dateMs(year < 50 ? 2000 + year : 1900 + year, octets, 2);
}

function dateMs(year: number, octets: Uint8Array, start: number): number | undefined {
  const month = twoDigits(octets, start);
  const day = twoDigits(octets, start + 2);
  const hour = twoDigits(octets, start + 4);
  const minute = twoDigits(octets, start + 6);
  const second = twoDigits(octets, start + 8);
  const exists =
    year >= 0 && month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month);
  // NaN, which stands for what is not a digit, fails every comparison.
  if (!exists || !(hour <= 23 && minute <= 59 && second <= 59)) return undefined;
  // Date.UTC takes the years 0 to 99 for 1900 to 1999; 400 years later the calendar is the same.
  const shift = year < 100 ? 400 : 0;
  return Date.UTC(year + shift, month - 1, day, hour, minute, second) - shift * MEAN_YEAR;
}

/** Ms; exact over any 400 years. */
const MEAN_YEAR = 365.2425 * 86_400_000;
const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function daysInMonth(year: number, month: number): number {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 && leap ? 29 : DAYS[month - 1]!;
}

/** 0 to 99, or NaN when an octet is not an ASCII digit. */
function twoDigits(octets: Uint8Array, at: number): number {
  const tens = octets[at]! - 0x30;
  const ones = octets[at + 1]! - 0x30;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
}

/** The text of a string element; undefined for other tags and for octets that the string type does not allow. */
export function stringText(tag: number, content: Buffer): string | undefined {
  switch (tag) {
    case TAG.utf8String:
      return isUtf8(content) ? content.toString('utf8') : undefined;
    case TAG.printableString:
    case TAG.ia5String:
      return content.some((octet) => octet >= 0x80) ? undefined : content.toString('latin1');
    case TAG.teletexString:
      return content.toString('latin1');
    case TAG.bmpString:
      return content.length % 2 === 0
        ? Buffer.from(content).swap16().toString('utf16le')
        : undefined;
    default:
      return undefined;
  }
}
