import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { makeDataFolder, makePrivateFolder, removeEmptyFolders } from './private-folder.ts';

let folder: string;
let umask: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gigvault folder,'));
  umask = process.umask();
});
afterEach(() => {
  process.umask(umask);
  rmSync(folder, { recursive: true, force: true });
});

const modeOf = (path: string) => statSync(path).mode & 0o777;

describe('the data folder', () => {
  it.each([0o000, 0o022, 0o077])('is nobody else’s to write in, whatever the umask: %i', (mask) => {
    process.umask(mask);
    const path = join(folder, 'above', 'data');
    makeDataFolder(path);
    makeDataFolder(path);
    makePrivateFolder(join(path, 'secrets'));
    const passable = process.getuid?.() === 0 ? 0o711 : 0o700;
    expect([modeOf(join(folder, 'above')), modeOf(path)]).toEqual([passable, passable]);
    expect(modeOf(join(path, 'secrets'))).toBe(0o700);
  });

  it('is refused at once where it cannot be, with what to do', () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const shared = join(folder, 'shared');
    mkdirSync(shared);
    chmodSync(shared, 0o777);
    for (const [path, why] of [
      ['/proc/x', 'no folder can be made in /proc'],
      ['/proc/x/y', 'no folder can be made in /proc'],
      [file, `${file} is a file, not a directory`],
      [join(file, 'below', 'it'), `${file} is a file, not a directory`],
      [join(folder, 'x'.repeat(300)), 'the path, or a name in it, is too long'],
      [shared, `others may write in it. If it is yours alone, chmod go-w ${shared}`],
    ] as const)
      expect(() => makeDataFolder(path)).toThrow(
        `The data directory ${path} cannot be used: ${why}. Choose another with --data-dir.`,
      );
  });

  it('holds folders that nobody else can read', () => {
    const open = join(folder, 'open');
    mkdirSync(open);
    chmodSync(open, 0o755);
    expect(() => makePrivateFolder(open)).toThrow(`chmod 700 ${open}`);
  });

  it('goes again, with what is empty in it, and nothing else does', () => {
    const made: string[] = [];
    mkdirSync(join(folder, 'there'));
    for (const name of ['there', 'above']) {
      makeDataFolder(join(folder, name, 'data'), made);
      makePrivateFolder(join(folder, name, 'data', 'empty'), made);
    }
    const kept = join(folder, 'above', 'data', 'kept');
    writeFileSync(kept, '');
    removeEmptyFolders(made);
    expect(readdirSync(folder, { recursive: true }).sort()).toEqual([
      'above',
      'above/data',
      'above/data/kept',
      'there',
    ]);
    rmSync(kept);
    removeEmptyFolders(made);
    expect(readdirSync(folder)).toEqual(['there']);
  });
});
