import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { type FileHandle, link, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** What a file is to hold, or what writes it. */
export type Content = string | Buffer | ((file: FileHandle) => Promise<void>);

/** A file that is whole and on the disk, but does not have its name yet. */
export interface Draft {
  /** Gives it its name, and takes it from the file that had it. The draft is gone when that fails. */
  replace(): Promise<void>;
  /** Gives it its name, unless a file has it: then it rejects with EEXIST and the draft is gone. Of two at one time one wins. */
  create(): Promise<void>;
  discard(): Promise<void>;
}

const DRAFT = /^\.(.+)\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Writes to the disk beside `path`. Nothing is left when it rejects. */
export async function draftFile(path: string, content: Content, mode: number): Promise<Draft> {
  const draft = join(dirname(path), `.${basename(path)}.${randomUUID()}`);
  const discard = () => rm(draft, { force: true });
  try {
    await write(draft, content, mode);
  } catch (error) {
    await discard();
    throw error;
  }
  return {
    discard,
    async replace() {
      await rename(draft, path).catch(async (error: unknown) => {
        await discard();
        throw error;
      });
      await syncFolder(dirname(path));
    },
    async create() {
      // Unlike rename, link never replaces a file that appeared meanwhile.
      await link(draft, path).finally(discard);
      await syncFolder(dirname(path));
    },
  };
}

/** Writes a file so that a crash leaves the old content or the new, never a part. When it resolves, the new survives a power cut. */
export async function writeFileDurably(
  path: string,
  content: Content,
  mode: number,
): Promise<void> {
  const draft = await draftFile(path, content, mode);
  await draft.replace();
}

/**
 * Removes the drafts that processes which died have left in a folder, if it is there: a draft holds what its file was to hold, and may be another name of it.
 * Only before this process writes there, and where no other does: drafts of one that lives would go, too.
 *
 * @param isOurs whether a file of this name may be drafted here
 */
export function sweepDrafts(folder: string, isOurs: (name: string) => boolean): void {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder))
    if (isDraft(entry, isOurs)) rmSync(join(folder, entry), { force: true });
}

/** Removes a file, whether or not it is there, and the drafts of it; one that is being written goes, too. Not durable before syncFolder. */
export async function removeWithDrafts(path: string): Promise<void> {
  const folder = dirname(path);
  for (const entry of await readdir(folder))
    if (isDraft(entry, (name) => name === basename(path)))
      await rm(join(folder, entry), { force: true });
  await rm(path, { force: true });
}

function isDraft(entry: string, isOurs: (name: string) => boolean): boolean {
  const name = DRAFT.exec(entry)?.[1];
  return name !== undefined && isOurs(name);
}

/** Makes the folder's entries durable: a rename or an unlink is not, until this resolves. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function write(path: string, content: Content, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    if (typeof content === 'function') await content(file);
    else await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}
