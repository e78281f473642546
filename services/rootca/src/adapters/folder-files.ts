import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder, writeFileDurably } from '@gigvault/files/durable-file';
import type { CeremonyFiles } from '../ports/ceremony-files.ts';

/** The files of a folder, which is made with this mode when it is missing. */
export function folderFiles(folder: string, mode: number): CeremonyFiles {
  mkdirSync(folder, { recursive: true, mode });
  return {
    read(name) {
      const path = join(folder, name);
      return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
    },
    write: (name, content, fileMode) => writeFileDurably(join(folder, name), content, fileMode),
    async remove(name) {
      await rm(join(folder, name), { force: true });
      await syncFolder(folder);
    },
  };
}
