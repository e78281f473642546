import { createHmac, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { draftFile, removeWithDrafts, sweepDrafts, syncFolder } from '@gigvault/files/durable-file';
import { OWNER_ONLY, requireOwnerOnly } from './secret-file.ts';

const OCTETS = 32;

/** A master key. */
export interface MasterKey {
  /** By which files name it: 16 hex digits that tell nothing of the key. */
  readonly id: string;
  /** Base64 of its 32 octets. Octets, not a text: a heap snapshot has every text. */
  readonly passphrase: Buffer;
}

/** The master keys that key files are under. */
export interface MasterKeys {
  /** New keys go under it. */
  current(): MasterKey;
  /** The current one first, then the earlier ones that are still there, the latest first. */
  all(): readonly MasterKey[];
  /** Absent: whoever keeps them elsewhere makes and removes them there. */
  readonly replacement?: MasterKeyReplacement;
}

/** Of master keys that are made and removed here. */
export interface MasterKeyReplacement {
  /** Makes the one after `replaces`, which is the current one from then on. Errors: CONFLICT when `replaces`, an id, is not the current one. */
  add(replaces: string): Promise<MasterKey>;
  /** Removes the earlier ones. */
  removeEarlier(): Promise<void>;
}

/**
 * The master key of this text. Errors: KEY_UNAVAILABLE when it is not 32 octets in base64.
 *
 * @param place for the message
 */
export function masterKeyOf(text: string, place: string): MasterKey {
  const bare = text.trim();
  const octets = Buffer.from(bare, 'base64');
  const id = createHmac('sha256', octets).update('gigvault master key').digest('hex');
  const sound = octets.length === OCTETS && octets.toString('base64') === bare;
  octets.fill(0);
  if (sound) return { id: id.slice(0, 16), passphrase: Buffer.from(bare) };
  throw new GigvaultError(
    'KEY_UNAVAILABLE',
    `${place} does not hold a master key (32 octets, base64).`,
  );
}

/** Master keys that lie elsewhere, and were read. @param earlier the latest first */
export function givenMasterKeys(
  current: MasterKey,
  earlier: readonly MasterKey[] = [],
): MasterKeys {
  return { current: () => current, all: () => [current, ...earlier] };
}

/** Whether any version of the master key is there. */
export function hasMasterKey(path: string): boolean {
  return versionsOf(path).length > 0;
}

/**
 * Creates a random 256-bit master key at `path` (mode 0600, base64) unless one is there, or a later version of it; never replaces one.
 * The directory is made with mode 0700. Two processes that race end up with the same key.
 *
 * @returns true when this call made it.
 */
export async function createMasterKey(path: string): Promise<boolean> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  return hasMasterKey(path) ? false : create(path);
}

/**
 * The master keys in files: the first version at `path`, the later ones at `<path>.2`, `<path>.3` and so on; the highest is current. A file is never
 * changed, so that of two who make the next version one does. They belong to one process: what another that died was writing is removed.
 * Errors: KEY_UNAVAILABLE when there is none, when others may read one, or for a file that holds none.
 */
export function masterKeyFiles(path: string): MasterKeys {
  sweepDrafts(dirname(path), (name) => versionOf(path, name) !== undefined);
  let versions: readonly number[] = [];
  let keys = read();

  function read(): readonly MasterKey[] {
    versions = versionsOf(path);
    if (versions.length === 0) requireOwnerOnly(path);
    return versions.map((version) => readVersion(path, version));
  }

  return {
    current: () => keys[0] as MasterKey,
    all: () => keys,
    replacement: {
      async add(replaces) {
        keys = read();
        const [highest] = versions as [number];
        // Not the next number that is free: of two who replace the same one, the second would replace that of the first.
        const made = keys[0]?.id === replaces && (await create(fileOf(path, highest + 1)));
        keys = read();
        const [current] = keys as [MasterKey];
        if (made) return current;
        throw new GigvaultError('CONFLICT', `The master key is ${current.id} by now.`);
      },
      async removeEarlier() {
        // Those that this process knew: one that somebody else has made since is later.
        const [, ...earlier] = versions;
        for (const version of earlier) await removeWithDrafts(fileOf(path, version));
        await syncFolder(dirname(path));
        keys = read();
      },
    },
  };
}

/** The numbers of the versions that are there, the highest first. */
function versionsOf(path: string): number[] {
  if (!existsSync(dirname(path))) return [];
  const versions = readdirSync(dirname(path)).map((name) => versionOf(path, name));
  return versions.filter((version) => version !== undefined).sort((a, b) => b - a);
}

/** The version that a file of this name is; undefined for other files. */
function versionOf(path: string, name: string): number | undefined {
  const first = basename(path);
  if (name === first) return 1;
  const suffix = name.startsWith(`${first}.`) ? name.slice(first.length + 1) : '';
  return /^[1-9]\d*$/.test(suffix) ? Number(suffix) : undefined;
}

function fileOf(path: string, version: number): string {
  return version === 1 ? path : join(dirname(path), `${basename(path)}.${version}`);
}

function readVersion(path: string, version: number): MasterKey {
  const file = fileOf(path, version);
  requireOwnerOnly(file);
  return masterKeyOf(readFileSync(file, 'utf8'), file);
}

async function create(path: string): Promise<boolean> {
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
