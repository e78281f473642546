const ROOT_HASH_OCTETS = 32;
const MAX_EXTENSION_LINES = 8;

/**
 * Why these bytes are not the text of a checkpoint, or undefined when they are: origin, tree size, root hash in base64, then extension
 * lines, each ended by a newline (C2SP tlog-checkpoint; the signature lines of the note are not part of what is signed).
 */
export function whyNoCheckpoint(tbs: Buffer): string | undefined {
  const text = tbs.toString('utf8');
  if (!Buffer.from(text, 'utf8').equals(tbs)) return 'not UTF-8';
  if (!text.endsWith('\n')) return 'does not end in a newline';
  const [origin = '', size = '', root = '', ...extensions] = text.slice(0, -1).split('\n');
  if (!isLine(origin)) return 'no origin line';
  if (!/^(0|[1-9][0-9]{0,18})$/.test(size)) return 'no tree size';
  if (!isRootHash(root)) return 'no SHA-256 root hash';
  if (extensions.length > MAX_EXTENSION_LINES || !extensions.every(isLine)) {
    return 'extension lines are not in order';
  }
  return undefined;
}

function isLine(line: string): boolean {
  return /^[\x20-\x7e]{1,255}$/.test(line);
}

function isRootHash(line: string): boolean {
  const octets = Buffer.from(line, 'base64');
  return octets.length === ROOT_HASH_OCTETS && octets.toString('base64') === line;
}
