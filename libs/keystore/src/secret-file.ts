import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';

/**
 * Writes a file whole or not at all, mode 0600: temporary file, fsync, rename, fsync of the directory.
 * When it resolves, the file survives a power cut. Readers see the old file or the new one, never half.
 */
export async function writeSecretFile(path: string, content: string | Buffer): Promise<void> {
  const directory = dirname(path);
  const temporary = join(directory, `.${basename(path)}.${randomUUID()}`);
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(directory);
}

/** Makes the directory's entries durable: a rename or an unlink is not, until this resolves. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

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
