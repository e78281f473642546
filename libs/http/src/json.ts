import { GigvaultError } from '@gigvault/errors/gigvault-error';

/** Nesting that no body of ours needs. */
const MAX_DEPTH = 32;

/**
 * Parses a JSON body (RFC 8259). Errors: INVALID_ARGUMENT for what is not UTF-8 or not JSON, is nested deeper than 32,
 * or names `__proto__`.
 */
export function parseJson(body: Buffer): unknown {
  const text = decodeUtf8(body);
  if (depthOf(text) > MAX_DEPTH)
    throw new GigvaultError('INVALID_ARGUMENT', `The body is nested deeper than ${MAX_DEPTH}.`);
  try {
    return JSON.parse(text, (key, value) => {
      if (key === '__proto__')
        throw new GigvaultError('INVALID_ARGUMENT', 'The body may not name __proto__.');
      return value;
    });
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

/** Upper bound of the nesting: brackets inside strings are skipped. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (inString) {
      if (c === 0x5c) i++;
      else if (c === 0x22) inString = false;
    } else if (c === 0x22) inString = true;
    else if (c === 0x5b || c === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (c === 0x5d || c === 0x7d) depth--;
  }
  return deepest;
}
