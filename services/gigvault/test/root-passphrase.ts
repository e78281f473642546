import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PkiProcess } from '@gigvault/testkit/pki-process';

/** Of the root that `up` has made: it was shown once. */
export function passphraseOf(pki: PkiProcess): string {
  return /(?:[0-9A-Z]{5}-){5}[0-9A-Z]{5}/.exec(pki.output())?.[0] ?? '';
}

/** A file that holds it, for `--passphrase-file`. */
export function passphraseFile(pki: PkiProcess): string {
  const file = join(pki.home, 'passphrase');
  writeFileSync(file, passphraseOf(pki), { mode: 0o600 });
  return file;
}
