import { isIPv4, isIPv6 } from 'node:net';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { DerError } from './der.ts';

/** The address in its one text form: dotted IPv4, or IPv6 as in RFC 5952 (IPv4-mapped too). Throws REJECTED_IDENTIFIER. */
export function normalizeIpAddress(value: string): string {
  if (isIPv4(value)) return value;
  if (isIPv6(value) && !value.includes('%')) return compressIpv6(value);
  throw new GigvaultError(
    'REJECTED_IDENTIFIER',
    `${JSON.stringify(value.slice(0, 80))} is not an IP address.`,
  );
}

/** The 4 or 16 octets of iPAddress (RFC 5280 §4.2.1.6). Throws REJECTED_IDENTIFIER for what is not an address. */
export function ipAddressToOctets(value: string): Buffer {
  const address = normalizeIpAddress(value);
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::');
  const front = groups(head);
  const back = groups(tail ?? '');
  const gap = new Array<string>(8 - front.length - back.length).fill('0');
  const hex = [...front, ...gap, ...back].map((group) => group.padStart(4, '0')).join('');
  return Buffer.from(hex, 'hex');
}

function groups(text: string): string[] {
  return text === '' ? [] : text.split(':');
}

/** The text form of 4 or 16 octets; throws DerError for another length. */
export function octetsToIpAddress(octets: Buffer): string {
  if (octets.length === 4) return octets.join('.');
  if (octets.length !== 16) throw new DerError('An IP address has neither 4 nor 16 octets.');
  return compressIpv6(octets.toString('hex').match(/.{4}/g)!.join(':'));
}

function compressIpv6(value: string): string {
  return new URL(`http://[${value}]/`).hostname.slice(1, -1);
}
