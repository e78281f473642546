import { isIP } from 'node:net';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { asciiOctets, contextPrimitive, DerError, DerReader, sequence } from './der.ts';
import { type DnsNameOptions, normalizeDnsName } from './dns-name.ts';
import { ipAddressToOctets, normalizeIpAddress, octetsToIpAddress } from './ip-address.ts';

/** The kinds of GeneralName (RFC 5280 §4.2.1.6) that GigVault issues for. */
export type GeneralNameType = 'dns' | 'ip' | 'email' | 'uri';

/** One name: `value` is an A-label DNS name, an IP address as text, an RFC 5321 mailbox, or an absolute URI. All ASCII. */
export interface GeneralName {
  readonly type: GeneralNameType;
  readonly value: string;
}

const TYPE_OF_TAG: ReadonlyMap<number, GeneralNameType> = new Map([
  [0x81, 'email'],
  [0x82, 'dns'],
  [0x86, 'uri'],
  [0x87, 'ip'],
]);
const MAX_VALUE = 2048;
const EMAIL = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([^@]+)$/;

/** GeneralNames in the given order. Throws DerError for text that is not ASCII, REJECTED_IDENTIFIER for a bad address. */
export function encodeGeneralNames(names: readonly GeneralName[]): Buffer {
  return sequence(...names.map(encodeGeneralName));
}

/** One GeneralName. Throws as encodeGeneralNames. */
export function encodeGeneralName({ type, value }: GeneralName): Buffer {
  switch (type) {
    case 'email':
      return contextPrimitive(1, asciiOctets(value));
    case 'dns':
      return contextPrimitive(2, asciiOctets(value));
    case 'uri':
      return contextPrimitive(6, asciiOctets(value));
    case 'ip':
      return contextPrimitive(7, ipAddressToOctets(value));
  }
}

/**
 * The names of a GeneralNames value, as they stand (not normalized). Throws DerError when there is none, when a text is not
 * printable ASCII or longer than 2048, and for other kinds of name unless `others` is `skip`.
 */
export function readGeneralNames(
  der: Uint8Array,
  others: 'refuse' | 'skip' = 'refuse',
): GeneralName[] {
  const outer = new DerReader(der);
  const list = outer.sequence();
  outer.expectEnd();
  if (list.done) throw new DerError('A list of names is empty.');
  const names: GeneralName[] = [];
  while (!list.done) {
    const name = readGeneralName(list);
    if (name !== undefined) names.push(name);
    else if (others === 'refuse') throw new DerError('A kind of name is not supported.');
  }
  return names;
}

/** The next GeneralName, or undefined (and past it) when it is of another kind. Throws as readGeneralNames. */
export function readGeneralName(reader: DerReader): GeneralName | undefined {
  const type = TYPE_OF_TAG.get(reader.peek());
  const content = reader.content();
  if (type === undefined) return undefined;
  if (type === 'ip') return { type, value: octetsToIpAddress(content) };
  const value = content.toString('latin1');
  if (value.length > MAX_VALUE || !/^[\x21-\x7e]+$/.test(value)) {
    throw new DerError('A name is empty, too long, or not printable ASCII.');
  }
  return { type, value };
}

/** As `dns:api.example`. */
export function formatGeneralName({ type, value }: GeneralName): string {
  return `${type}:${value}`;
}

/** Reads what formatGeneralName writes. Throws UNSUPPORTED_IDENTIFIER for another prefix; the value is not checked. */
export function parseGeneralName(text: string): GeneralName {
  const [, type, value] = /^(dns|ip|email|uri):(.+)$/s.exec(text) ?? [];
  if (type === undefined || value === undefined) {
    throw new GigvaultError(
      'UNSUPPORTED_IDENTIFIER',
      'A name starts with dns:, ip:, email: or uri:.',
    );
  }
  return { type: type as GeneralNameType, value };
}

/** The name in the form that stands in certificates. Throws REJECTED_IDENTIFIER with the reason. */
export function normalizeGeneralName(name: GeneralName, options: DnsNameOptions): GeneralName {
  switch (name.type) {
    case 'dns':
      return { type: 'dns', value: normalizeDnsName(name.value, options) };
    case 'ip':
      return { type: 'ip', value: normalizeIpAddress(name.value) };
    case 'email':
      return { type: 'email', value: normalizeEmail(name.value, options) };
    case 'uri':
      return { type: 'uri', value: normalizeUri(name.value) };
  }
}

function normalizeEmail(value: string, options: DnsNameOptions): string {
  const domain = value.length <= 254 ? EMAIL.exec(value)?.[1] : undefined;
  if (domain === undefined)
    throw new GigvaultError('REJECTED_IDENTIFIER', 'That is not a mail address.');
  const local = value.slice(0, -domain.length);
  return local + normalizeDnsName(domain, { ...options, wildcard: false });
}

/** RFC 5280 §4.2.1.6: absolute, with a scheme and something after it. */
function normalizeUri(value: string): string {
  const valid =
    /^[a-z][a-z0-9+.-]*:[\x21-\x7e]+$/.test(value) &&
    value.length <= MAX_VALUE &&
    URL.canParse(value);
  if (!valid)
    throw new GigvaultError('REJECTED_IDENTIFIER', 'That is not an absolute URI in ASCII.');
  return value;
}

/** The host of an absolute URL, as a certificate of it names it. */
export function hostOf(url: string): GeneralName {
  const value = new URL(url).hostname.replace(/^\[|\]$/g, '');
  return { type: isIP(value) === 0 ? 'dns' : 'ip', value };
}

/** The names without repeats, first ones kept, in order. */
export function distinctNames(names: readonly GeneralName[]): GeneralName[] {
  return [...new Map(names.map((name) => [formatGeneralName(name), name])).values()];
}
