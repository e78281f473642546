import { GigvaultError } from '@gigvault/errors/gigvault-error';
import {
  DerError,
  DerReader,
  oid as encodeOid,
  ia5String,
  printableString,
  sequence,
  set,
  utf8String,
} from './der.ts';
import { OID } from './oid.ts';

/**
 * One attribute of a distinguished name. `type` is a short name (`CN`, `O`, `OU`, `C`, `L`, `ST`, `serialNumber`, `DC`,
 * `emailAddress`) or a dotted object identifier.
 */
export interface Attribute {
  readonly type: string;
  readonly value: string;
}

interface AttributeRow {
  readonly oid: string;
  readonly encode: (value: string) => Buffer;
  /** Upper bound in characters (RFC 5280 appendix A). */
  readonly max: number;
}

const ATTRIBUTES: Readonly<Record<string, AttributeRow>> = {
  CN: { oid: OID.commonName, encode: utf8String, max: 64 },
  O: { oid: OID.organizationName, encode: utf8String, max: 64 },
  OU: { oid: OID.organizationalUnitName, encode: utf8String, max: 64 },
  C: { oid: OID.countryName, encode: printableString, max: 2 },
  L: { oid: OID.localityName, encode: utf8String, max: 128 },
  ST: { oid: OID.stateOrProvinceName, encode: utf8String, max: 128 },
  serialNumber: { oid: OID.serialNumber, encode: printableString, max: 64 },
  DC: { oid: OID.domainComponent, encode: ia5String, max: 63 },
  emailAddress: { oid: OID.emailAddress, encode: ia5String, max: 255 },
};
/** The known types, encoded once. */
const TYPE_DER = new Map(
  Object.entries(ATTRIBUTES).map(([type, row]) => [type, encodeOid(row.oid)]),
);
const TYPE_OF_OID = new Map(Object.entries(ATTRIBUTES).map(([type, row]) => [row.oid, type]));
const MAX_ATTRIBUTES = 32;
const MAX_OTHER_VALUE = 255;
/** C0 and C1 controls, and the line and paragraph separators. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/**
 * Name (RFC 5280 §4.1.2.4): one attribute a relative name, in the given order; UTF8String, but PrintableString for C and
 * serialNumber, IA5String for DC and emailAddress. Throws INVALID_ARGUMENT for an empty, overlong or unprintable value.
 */
export function encodeName(attributes: readonly Attribute[]): Buffer {
  return sequence(...attributes.map(encodeRelativeName));
}

function encodeRelativeName(attribute: Attribute): Buffer {
  const problem = attributeProblem(attribute);
  if (problem !== undefined) throw new GigvaultError('INVALID_ARGUMENT', problem);
  const row = ATTRIBUTES[attribute.type];
  const type = TYPE_DER.get(attribute.type) ?? encodeOid(attribute.type);
  return set(sequence(type, (row?.encode ?? utf8String)(attribute.value)));
}

/** What is wrong with an attribute, as a sentence, or undefined (RFC 5280 appendix A; T24). */
export function attributeProblem({ type, value }: Attribute): string | undefined {
  const max = ATTRIBUTES[type]?.max ?? MAX_OTHER_VALUE;
  if (value.length === 0) return `Attribute ${type} is empty.`;
  if ([...value].length > max) return `Attribute ${type} is longer than ${max} characters.`;
  if (CONTROL.test(value)) return `Attribute ${type} has control characters.`;
  if (type === 'C' && !/^[A-Z]{2}$/.test(value))
    return 'Attribute C is not two upper-case letters.';
  return undefined;
}

/**
 * The attributes of a Name in order; the members of a multi-valued relative name follow each other. Throws DerError for what
 * is not a Name, holds a value that is not a string, or has more than 32 attributes.
 */
export function readName(der: Uint8Array): Attribute[] {
  const outer = new DerReader(der);
  const names = outer.sequence();
  outer.expectEnd();
  const attributes: Attribute[] = [];
  while (!names.done) {
    const members = names.set();
    do attributes.push(readAttribute(members));
    while (!members.done);
    if (attributes.length > MAX_ATTRIBUTES) {
      throw new DerError('A name has too many attributes.');
    }
  }
  return attributes;
}

function readAttribute(members: DerReader): Attribute {
  const pair = members.sequence();
  const type = pair.oid();
  const value = pair.string();
  pair.expectEnd();
  return { type: TYPE_OF_OID.get(type) ?? type, value };
}

/** As `CN=api.example, O=Example`, in the order of the encoding; `, + " \ < > ;` and controls are escaped (RFC 4514 §2.4). */
export function formatName(name: Uint8Array | readonly Attribute[]): string {
  const attributes = name instanceof Uint8Array ? readName(name) : name;
  return attributes.map(({ type, value }) => `${type}=${escapeValue(value)}`).join(', ');
}

function escapeValue(value: string): string {
  return [...value]
    .map((char) => (CONTROL.test(char) ? hexEscape(char) : char.replace(/[,+"\\<>;]/, '\\$&')))
    .join('');
}

function hexEscape(char: string): string {
  return Buffer.from(char, 'utf8').toString('hex').replace(/../g, '\\$&');
}

/** The value of the first attribute of that type, or undefined. */
export function attributeValue(attributes: readonly Attribute[], type: string): string | undefined {
  return attributes.find((attribute) => attribute.type === type)?.value;
}
