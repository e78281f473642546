/** A second request, inside of the first one for whoever reads the first one otherwise. */
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n';
const CHUNKED = 'transfer-encoding: chunked\r\n';

/**
 * [what, header after the request line and Host, body]: requests whose end two readers could see in two places (RFC 9112 §6.3, fault T68).
 * Each is refused, and its connection closed.
 */
export const AMBIGUOUS: readonly [string, string, string][] = [
  ['CL.TE', `content-length: 4\r\n${CHUNKED}`, `0\r\n\r\n${SMUGGLED}`],
  ['TE.CL', `${CHUNKED}content-length: 4\r\n`, `5c\r\n${SMUGGLED}\r\n0\r\n\r\n`],
  ['TE.TE, the second unknown', `${CHUNKED}transfer-encoding: x\r\n`, `0\r\n\r\n${SMUGGLED}`],
  ['TE.TE, the first unknown', `transfer-encoding: x\r\n${CHUNKED}`, `0\r\n\r\n${SMUGGLED}`],
  ['two codings', 'transfer-encoding: gzip, chunked\r\n', `0\r\n\r\n${SMUGGLED}`],
  ['an unknown coding', 'transfer-encoding: xchunked\r\n', `0\r\n\r\n${SMUGGLED}`],
  ['chunked not last', 'transfer-encoding: chunked, gzip\r\n', `0\r\n\r\n${SMUGGLED}`],
  ['a coding in control characters', 'transfer-encoding: \x0bchunked\r\n', `0\r\n\r\n${SMUGGLED}`],
  ['a space before the colon', 'transfer-encoding : chunked\r\n', `0\r\n\r\n${SMUGGLED}`],
  ['two lengths', 'content-length: 0\r\ncontent-length: 40\r\n', SMUGGLED],
  ['the same length twice', 'content-length: 2\r\ncontent-length: 2\r\n', '{}'],
  ['a list of lengths', 'content-length: 2, 2\r\n', '{}'],
  ['a signed length', 'content-length: +2\r\n', '{}'],
  ['a negative length', 'content-length: -2\r\n', '{}'],
  ['a hexadecimal length', 'content-length: 0x2\r\n', '{}'],
  ['a length beyond all numbers', `content-length: ${'9'.repeat(30)}\r\n`, '{}'],
  ['a chunk size that is none', CHUNKED, `zz\r\n{}\r\n0\r\n\r\n${SMUGGLED}`],
  ['a chunk size with 0x', CHUNKED, `0x2\r\n{}\r\n0\r\n\r\n${SMUGGLED}`],
  ['a chunk size beyond all numbers', CHUNKED, `${'f'.repeat(17)}\r\n{}\r\n0\r\n\r\n${SMUGGLED}`],
  ['a chunk longer than its size', CHUNKED, `2\r\n{}{}\r\n0\r\n\r\n${SMUGGLED}`],
  ['a chunk size that a line feed ends', CHUNKED, `2\n{}\r\n0\r\n\r\n${SMUGGLED}`],
  ['a folded line', `x: y\r\n ${CHUNKED}`, SMUGGLED],
  ['a folded coding', `transfer-encoding:\r\n chunked\r\n`, `0\r\n\r\n${SMUGGLED}`],
  ['lines that line feeds end', 'content-length: 2\n', '{}'],
  ['a carriage return alone', 'x: y\rcontent-length: 2\r\n', '{}'],
  ['a NUL', 'x: a\0b\r\ncontent-length: 2\r\n', '{}'],
  ['a line without a colon', 'content-length\r\n', SMUGGLED],
  ['a second host', 'host: y\r\ncontent-length: 2\r\n', '{}'],
];

/** The whole request, to this path. */
export function ambiguousRequest(path: string, header: string, body: string): string {
  return `POST ${path} HTTP/1.1\r\nhost: localhost\r\n${header}\r\n${body}`;
}
