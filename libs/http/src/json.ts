import { GigvaultError } from '@gigvault/errors/gigvault-error';

/** Nesting that no body of ours needs. */
const MAX_DEPTH = 32;

/**
 * Parses a JSON body as I-JSON (RFC 7493), so that no two readers can understand it differently. Errors:
 * INVALID_ARGUMENT for what is not UTF-8 or not JSON, is nested deeper than 32, names a key twice or names `__proto__`,
 * and for integers beyond ±(2^53 - 1), numbers beyond a double, NUL characters and lone surrogates (fault T70).
 */
export function parseJson(body: Buffer): unknown {
  const text = decodeUtf8(body);
  refuseUnlessPlain(text);
  try {
    return JSON.parse(text, refuseLossyValue);
  } catch (error) {
    if (error instanceof GigvaultError) throw error;
    throw new GigvaultError('INVALID_ARGUMENT', 'The body is not JSON.', { cause: error });
  }
}

function decodeUtf8(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch (error) {
    throw new GigvaultError('INVALID_ARGUMENT', 'The body is not UTF-8.', { cause: error });
  }
}

/** A string without an end is one token up to the text's end: to look for another start in it would take quadratic time (T71, T72). */
const TOKEN = /"(?:[^"\\]|\\.)*(?:"|\\?$)|[[\]{}]/gs;
const COLON = /\s*:/y;

/** Depth and keys, before JSON.parse: it keeps the last of two equal keys and the reviver recurses. What is no JSON may pass. */
function refuseUnlessPlain(text: string): void {
  const open: Set<string>[] = [];
  for (const match of text.matchAll(TOKEN)) {
    const [token] = match;
    if (token === '{' || token === '[') {
      if (open.push(new Set()) > MAX_DEPTH)
        throw refused(`The body is nested deeper than ${MAX_DEPTH}.`);
    } else if (token === '}' || token === ']') {
      open.pop();
    } else {
      COLON.lastIndex = match.index + token.length;
      if (COLON.test(text)) addKey(token, open.at(-1));
    }
  }
}

function addKey(token: string, keys: Set<string> | undefined): void {
  const key = unquote(token);
  if (key === '__proto__') throw refused('The body may not name __proto__.');
  if (keys?.has(key)) throw refused(`The body names ${JSON.stringify(key.slice(0, 64))} twice.`);
  keys?.add(key);
}

/** A key with its escapes read: `"\u0061"` and `"a"` are the same one. */
function unquote(token: string): string {
  try {
    return JSON.parse(token) as string;
  } catch {
    // Not a JSON string: JSON.parse of the whole says so.
    return token;
  }
}

function refuseLossyValue(key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value === 'number') {
    const whole = /^-?\d+$/.test(context?.source ?? '');
    if (!Number.isFinite(value) || (whole && !Number.isSafeInteger(value)))
      throw refused('The body holds a number that is too large.');
  }
  if (!key.isWellFormed() || (typeof value === 'string' && !value.isWellFormed()))
    throw refused('The body holds half of a surrogate pair.');
  if (key.includes('\0') || (typeof value === 'string' && value.includes('\0')))
    throw refused('The body holds a NUL character.');
  return value;
}

function refused(message: string): GigvaultError {
  return new GigvaultError('INVALID_ARGUMENT', message);
}
