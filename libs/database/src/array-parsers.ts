import { types } from 'pg';

/** pg reads arrays character by character; a certificate's chain took longer than its order. What is written plainly is read at once. */
const PLAIN = new Map<number, (text: string) => unknown>([
  [1001, octets],
  [1009, texts],
  [2951, texts],
]);

/** pg's own; its types do not know the numbers of arrays. */
export const pgParser = types.getTypeParser as (oid: number) => (text: string) => unknown;

/** Reads `bytea[]`, `text[]` and `uuid[]` of one dimension; undefined for other types. */
export function arrayParser(oid: number): ((text: string) => unknown) | undefined {
  return PLAIN.get(oid);
}

/** Elements stand in quotes when they hold a special character, are empty or spell NULL. */
function texts(text: string): unknown {
  if (text === '{}') return [];
  if (/["{]|\bNULL\b/i.test(text.slice(1))) return pgParser(1009)(text);
  return text.slice(1, -1).split(',');
}

function octets(text: string): unknown {
  if (text === '{}') return [];
  // As `bytea_output = hex` writes them.
  if (!/^\{"\\\\x[0-9a-f]*"(,"\\\\x[0-9a-f]*")*\}$/.test(text)) return pgParser(1001)(text);
  return text
    .slice(1, -1)
    .split(',')
    .map((element) => Buffer.from(element.slice('"\\\\x'.length, -1), 'hex'));
}
