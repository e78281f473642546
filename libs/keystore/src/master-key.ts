import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { draftFile } from '@gigvault/files/durable-file';
import { OWNER_ONLY, requireOwnerOnly } from './secret-file.ts';

const OCTETS = 32;

/**
 * Creates a random 256-bit master key at `path` (mode 0600, base64) unless one is there; never replaces one.
 * The directory is made with mode 0700. Two processes that race end up with the same key.
 *
 * @returns true when this call made it.
 */
export async function createMasterKey(path: string): Promise<boolean> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  if (await exists(path)) return false;
  const key = `${randomBytes(OCTETS).toString('base64')}\n`;
  const draft = await draftFile(path, key, OWNER_ONLY);
  try {
    // Never replace(): another process may have begun to use the key that is there by now.
    await draft.create();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * The passphrase of encrypted key files: base64 of the 32 random octets.
 * Errors: KEY_UNAVAILABLE when the file is missing, readable by others, or not such a key.
 */
export function readMasterKey(path: string): string {
  requireOwnerOnly(path);
  const text = readFileSync(path, 'utf8').trim();
  const octets = Buffer.from(text, 'base64');
  const sound = octets.length === OCTETS && octets.toString('base64') === text;
  octets.fill(0);
  if (!sound) {
    throw new GigvaultError(
      'KEY_UNAVAILABLE',
      `${path} does not hold a master key (32 octets, base64).`,
    );
  }
  return text;
}

async function exists(path: string): Promise<boolean> {
  try {
    await (await open(path, 'r')).close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
