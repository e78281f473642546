import { link, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { draftFile, removeWithDrafts, sweepDrafts, writeFileDurably } from './durable-file.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gigvault-files-'));
  path = join(folder, 'a.txt');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('writeFileDurably', () => {
  it('replaces a file as a whole, with its mode, and leaves nothing beside it', async () => {
    await writeFile(path, 'old', { mode: 0o644 });
    await writeFileDurably(path, 'new', 0o600);
    expect(await readFile(path, 'utf8')).toBe('new');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(['a.txt']);
  });

  it('keeps the old file, and nothing else, when the writing fails', async () => {
    await writeFile(path, 'old');
    const half = async (file: { writeFile(text: string): Promise<void> }) => {
      await file.writeFile('ne');
      throw new Error('no space');
    };
    await expect(writeFileDurably(path, half, 0o600)).rejects.toThrow('no space');
    expect(await readFile(path, 'utf8')).toBe('old');
    expect(await readdir(folder)).toEqual(['a.txt']);
  });
});

describe('drafts that a process which died has left', () => {
  // As it dies in the midst of writing, and between giving the draft its name and taking the draft away.
  async function leaveDrafts(): Promise<void> {
    await writeFile(path, 'text');
    await draftFile(path, 'other', 0o600);
    await link(path, join(folder, '.a.txt.00000000-0000-4000-8000-000000000000'));
    await writeFile(join(folder, '.a.txt.swp'), '');
  }

  it('are swept, of the files that are ours only', async () => {
    await leaveDrafts();
    const theirs = await draftFile(join(folder, 'b.txt'), 'text', 0o600);
    sweepDrafts(folder, (name) => name === 'a.txt');
    expect(await readdir(folder)).toHaveLength(3);
    await theirs.discard();
    expect((await readdir(folder)).sort()).toEqual(['.a.txt.swp', 'a.txt']);
    sweepDrafts(join(folder, 'missing'), () => true);
  });

  it('are removed with their file', async () => {
    await leaveDrafts();
    await removeWithDrafts(path);
    expect(await readdir(folder)).toEqual(['.a.txt.swp']);
    await removeWithDrafts(path);
  });
});

describe('a draft', () => {
  it('is not seen under its name before it is published', async () => {
    const draft = await draftFile(path, 'text', 0o600);
    await expect(readFile(path)).rejects.toMatchObject({ code: 'ENOENT' });
    await draft.create();
    expect(await readFile(path, 'utf8')).toBe('text');
    expect(await readdir(folder)).toEqual(['a.txt']);
  });

  it('that creates never replaces: of two at one time one wins', async () => {
    const drafts = await Promise.all(['1', '2'].map((text) => draftFile(path, text, 0o600)));
    const results = await Promise.allSettled(drafts.map((draft) => draft.create()));
    expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(results.find((result) => result.status === 'rejected')).toMatchObject({
      reason: { code: 'EEXIST' },
    });
    expect(await readdir(folder)).toEqual(['a.txt']);
  });
});
