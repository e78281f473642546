/**
 * A value as JSON in its one canonical form: keys sorted by UTF-16 code unit, no spaces (RFC 8785). Dates become ISO strings and
 * `undefined` members go, as in JSON.stringify; a bigint or a non-finite number throws TypeError.
 */
export function canonicalJson(value: unknown): string {
  const text = write(value);
  if (text === undefined) throw new TypeError(`${typeof value} has no form in JSON`);
  return text;
}

/** Undefined for what JSON.stringify leaves out of objects. */
function write(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value);
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError(`${value} has no form in JSON`);
      return String(value);
    case 'boolean':
      return String(value);
    case 'bigint':
      throw new TypeError(`${value} has no form in JSON`);
    case 'object':
      return value === null ? 'null' : writeObject(value);
    default:
      return undefined;
  }
}

function writeObject(value: object): string | undefined {
  if ('toJSON' in value && typeof value.toJSON === 'function') return write(value.toJSON());
  // Holes are undefined here, as for JSON.stringify; map() would leave them out.
  if (Array.isArray(value))
    return `[${Array.from(value, (item) => write(item) ?? 'null').join(',')}]`;
  let members = '';
  for (const key of Object.keys(value).sort()) {
    const member = write((value as Record<string, unknown>)[key]);
    if (member === undefined) continue;
    members += `${members === '' ? '' : ','}${JSON.stringify(key)}:${member}`;
  }
  return `{${members}}`;
}
