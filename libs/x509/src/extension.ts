import { boolean, DerError, type DerReader, octetString, oid, sequence } from './der.ts';
import { TAG } from './der-tag.ts';
import { OID } from './oid.ts';

/** One extension (RFC 5280 §4.1): `value` is the DER inside the OCTET STRING. */
export interface Extension {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Buffer;
}

const MAX_EXTENSIONS = 64;
/** The known identifiers, encoded once. */
const OID_DER: ReadonlyMap<string, Buffer> = new Map(
  Object.values(OID).map((dotted) => [dotted, oid(dotted)]),
);

/** Extension; `critical` FALSE is left out, as DER asks of a DEFAULT. */
export function encodeExtension(type: string, critical: boolean, value: Uint8Array): Buffer {
  const id = OID_DER.get(type) ?? oid(type);
  return critical
    ? sequence(id, boolean(true), octetString(value))
    : sequence(id, octetString(value));
}

/** The members of the SEQUENCE OF Extension that comes next, repeats included. Throws DerError when empty or over 64. */
export function readExtensionList(reader: DerReader): Extension[] {
  const list = reader.sequence();
  if (list.done) throw new DerError('A list of extensions is empty.');
  const extensions: Extension[] = [];
  while (!list.done) {
    extensions.push(readExtension(list));
    if (extensions.length > MAX_EXTENSIONS) throw new DerError('There are too many extensions.');
  }
  return extensions;
}

function readExtension(list: DerReader): Extension {
  const fields = list.sequence();
  const type = fields.oid();
  const critical = fields.is(TAG.boolean) && readCritical(fields);
  const value = fields.octetString();
  fields.expectEnd();
  return { oid: type, critical, value };
}

function readCritical(fields: DerReader): true {
  if (!fields.boolean()) throw new DerError('A default value is encoded.');
  return true;
}

/** The extensions by object identifier. Throws DerError when one occurs twice (RFC 5280 §4.2). */
export function extensionMap(list: readonly Extension[]): ReadonlyMap<string, Extension> {
  const map = new Map(list.map((extension) => [extension.oid, extension]));
  if (map.size !== list.length) throw new DerError('An extension occurs twice.');
  return map;
}
