import { createPrivateKey } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT_FILES } from './root-files.ts';

/** A PEM block and what it begins with, also inside of a text in JSON; a label alone, as programs have it, is no key. */
const PEM_KEY =
  /-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:\s|\\r|\\n)+(?:[A-Za-z0-9+/]{16}|[A-Z][A-Za-z-]+: )/;
const DER_TYPES = ['pkcs8', 'sec1', 'pkcs1'] as const;
/** The first octet of a SEQUENCE. */
const SEQUENCE = 0x30;
/** An encrypted one needs a passphrase, which says that it is one. */
const NO_PASSPHRASE = 'ERR_MISSING_PASSPHRASE';
/** Octets of a file that is looked into. */
const LARGEST_FILE = 16 * 1024 * 1024;
const MOST_FILES = 10_000;

/** What a search has found; names are relative to the folder. */
export interface PrivateKeySearch {
  /** Files with a private key, encrypted or not, and those that are called as the root's. */
  readonly found: readonly string[];
  /** What was not looked into: files of more than 16 MiB, what cannot be read, and `…` for all behind the first 10,000 files. */
  readonly unseen: readonly string[];
}

/** Looks for private keys in every file below a folder, whatever it is called. Links to folders are not followed. */
export function searchPrivateKeys(folder: string): PrivateKeySearch {
  const found: string[] = [];
  const unseen: string[] = [];
  let files = 0;
  const lookAt = (name: string, isRootKey: boolean) => {
    const holds = isRootKey || readable(() => fileHoldsKey(join(folder, name)));
    if (holds !== false) (holds ? found : unseen).push(name);
  };
  const lookBelow = (at: string) => {
    const entries = readable(() => readdirSync(join(folder, at), { withFileTypes: true }));
    if (entries === undefined) unseen.push(at);
    for (const entry of entries ?? []) {
      const name = join(at, entry.name);
      if (files > MOST_FILES) return;
      if (entry.isDirectory()) lookBelow(name);
      else if (files++ < MOST_FILES) lookAt(name, entry.name === ROOT_FILES.key);
      else unseen.push('…');
    }
  };
  lookBelow('');
  return { found: found.sort(), unseen: unseen.sort() };
}

/** True for a private key, encrypted or not: a PEM block anywhere in the content, or DER. */
export function holdsPrivateKey(octets: Buffer): boolean {
  if (PEM_KEY.test(octets.toString('latin1'))) return true;
  return octets[0] === SEQUENCE && DER_TYPES.some((type) => isDerKey(octets, type));
}

function isDerKey(key: Buffer, type: (typeof DER_TYPES)[number]): boolean {
  try {
    createPrivateKey({ key, format: 'der', type });
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === NO_PASSPHRASE;
  }
}

/** Undefined for a file that is too large. */
function fileHoldsKey(path: string): boolean | undefined {
  const about = statSync(path);
  if (!about.isFile()) return false;
  return about.size > LARGEST_FILE ? undefined : holdsPrivateKey(readFileSync(path));
}

/** Undefined for what the system does not let us read. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    return undefined;
  }
}
