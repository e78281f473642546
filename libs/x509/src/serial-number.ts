import { randomBytes } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { DerError, integer } from './der.ts';

const OCTETS = 20;

/**
 * A fresh serial number: 40 hex digits, 2^158 ≤ s < 2^159, 158 random bits. Always 20 octets, positive and minimal as a DER
 * INTEGER (RFC 5280 §4.1.2.2; BR §7.1 asks for 64 random bits).
 */
export function newSerialNumber(): string {
  const octets = randomBytes(OCTETS);
  octets[0] = 0x40 | (octets[0]! & 0x3f);
  return octets.toString('hex');
}

/** The serial number as a DER INTEGER. Throws DerError unless it is lower-case hex of 1 to 20 octets. */
export function serialNumberToInteger(serialNumber: string): Buffer {
  if (!/^(?:[0-9a-f]{2}){1,20}$/.test(serialNumber)) {
    throw new DerError('A serial number is not lower-case hex of 1 to 20 octets.');
  }
  return integer(Buffer.from(serialNumber, 'hex'));
}

/** The serial number in an INTEGER's content octets; throws DerError when negative or over 20 octets. */
export function serialNumberFromOctets(octets: Buffer): string {
  const [first, second] = octets;
  if (first === undefined || first >= 0x80) throw new DerError('A serial number is negative.');
  const magnitude = first === 0 && second !== undefined ? octets.subarray(1) : octets;
  if (magnitude.length > OCTETS) throw new DerError('A serial number is longer than 20 octets.');
  return magnitude.toString('hex');
}

/**
 * The serial number that a person typed: hex with or without colons, dashes, spaces and `0x`, upper or lower case; leading
 * zero octets are dropped. With `decimal`, digits are decimal. Throws INVALID_ARGUMENT for anything else or over 20 octets.
 */
export function parseSerialNumber(
  text: string,
  options: { readonly decimal?: boolean } = {},
): string {
  const cut = text.trim();
  const hex = options.decimal
    ? decimalToHex(cut)
    : cut
        .toLowerCase()
        .replace(/^0x/, '')
        .replace(/[:\s-]/g, '');
  if (!/^[0-9a-f]{1,80}$/.test(hex)) {
    throw new GigvaultError('INVALID_ARGUMENT', 'That is not a serial number.');
  }
  const even = hex.length % 2 === 0 ? hex : `0${hex}`;
  const minimal = even.replace(/^(?:00)+(?=..)/, '');
  if (minimal.length > OCTETS * 2) {
    throw new GigvaultError('INVALID_ARGUMENT', 'A serial number has at most 20 octets.');
  }
  return minimal;
}

function decimalToHex(text: string): string {
  return /^\d{1,60}$/.test(text) ? BigInt(text).toString(16) : '';
}

/** As `aa:bb:…`, lower case. */
export function formatSerialNumber(serialNumber: string): string {
  return serialNumber.replace(/..(?=.)/g, '$&:');
}
