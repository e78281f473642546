/**
 * A value as JSON in its one canonical form: keys sorted by UTF-16 code unit, no spaces (RFC 8785). Dates become ISO strings and
 * `undefined` members go, as in JSON.stringify; a bigint or a non-finite number throws TypeError.
 */
export function canonicalJson(value: unknown): string {
  // A first pass settles toJSON, undefined and bigint; the second only sorts, because an object cannot hold integer-like keys in this order.
  return sorted(JSON.parse(JSON.stringify(value, refuseNonFinite)));
}

function refuseNonFinite(_key: string, value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value))
    throw new TypeError(`${value} has no form in JSON`);
  return value;
}

function sorted(value: unknown): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(sorted).join(',')}]`;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${sorted(member)}`).join(',')}}`;
}
