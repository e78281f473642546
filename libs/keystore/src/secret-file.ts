import { statSync } from 'node:fs';
import { GigvaultError } from '@gigvault/errors/gigvault-error';

/** The mode of a file that its owner alone reads and writes. */
export const OWNER_ONLY = 0o600;

/** Errors: KEY_UNAVAILABLE when others than the owner may read or write the file, or it is missing. */
export function requireOwnerOnly(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new GigvaultError('KEY_UNAVAILABLE', `Cannot read ${path}.`);
  if ((found.mode & 0o077) !== 0) {
    throw new GigvaultError(
      'KEY_UNAVAILABLE',
      `${path} can be read by others. Run: chmod 600 ${path}`,
    );
  }
}
