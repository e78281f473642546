import { GigvaultError } from '@gigvault/errors/gigvault-error';

const MAX_DEPTH = 16;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Parses a JSON object that means the same to every reader: UTF-8, no member twice, no `__proto__`, no lone surrogate, at
 * most 16 levels (RFC 8259 §4, RFC 7515 §4). Anything else, also a value that is not an object, is INVALID_ARGUMENT.
 */
export function parseStrictJsonObject(octets: Buffer, what: string): Record<string, unknown> {
  try {
    const text = utf8.decode(octets);
    refuseDeep(text);
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new Error('it is not a JSON object');
    refuseAmbiguous(text);
    return value as Record<string, unknown>;
  } catch (error) {
    throw new GigvaultError('INVALID_ARGUMENT', `${what} is not acceptable JSON.`, {
      cause: error,
    });
  }
}

/** Bounds the nesting before the parser sees it. */
function refuseDeep(text: string): void {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const c = text[at];
    if (c === '"') at = endOfString(text, at);
    else if (c === '{' || c === '[') {
      depth++;
      if (depth > MAX_DEPTH) throw new Error('too deep');
    } else if (c === '}' || c === ']') depth--;
  }
}

/** Walks text that JSON.parse has accepted. */
function refuseAmbiguous(text: string): void {
  const scopes: Set<string>[] = [];
  for (let at = 0; at < text.length; at++) {
    const c = text[at];
    if (c === '{' || c === '[') scopes.push(new Set());
    else if (c === '}' || c === ']') scopes.pop();
    else if (c === '"') {
      const end = endOfString(text, at);
      const value = JSON.parse(text.slice(at, end + 1)) as string;
      if (!value.isWellFormed()) throw new Error('lone surrogate');
      if (isName(text, end + 1)) addName(scopes.at(-1), value);
      at = end;
    }
  }
}

function addName(scope: Set<string> | undefined, name: string): void {
  if (name === '__proto__' || scope?.has(name))
    throw new Error(`member "${name}" twice or forbidden`);
  scope?.add(name);
}

/** True when the string that ends before `at` is a member's name. */
function isName(text: string, at: number): boolean {
  let next = at;
  while (' \t\r\n'.includes(text[next] ?? '.')) next++;
  return text[next] === ':';
}

/** The index of the closing quote; the text's length when there is none. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at;
}
