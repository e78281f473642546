import type { CeremonyFiles } from '../src/ports/ceremony-files.ts';

/** A process that died, for the test. */
export class Died extends Error {}

/** A folder in memory. */
export interface MemoryFiles extends CeremonyFiles {
  readonly contents: Map<string, string>;
}

/** `before` and `after` hear of each change, and may throw: the process dies then. */
export function memoryFiles(
  contents: Map<string, string> = new Map(),
  hear: (moment: 'before' | 'after', change: string) => void = () => undefined,
): MemoryFiles {
  return {
    contents,
    read: (name) => contents.get(name),
    async write(name, content) {
      hear('before', `write ${name}`);
      contents.set(name, content);
      hear('after', `write ${name}`);
    },
    async remove(name) {
      hear('before', `remove ${name}`);
      contents.delete(name);
      hear('after', `remove ${name}`);
    },
  };
}
