import type { CeremonyFiles } from '../src/ports/ceremony-files.ts';

/** A process that died, for the test. */
export class Died extends Error {}

/** A folder in memory. */
export interface MemoryFiles extends CeremonyFiles {
  readonly contents: Map<string, string>;
}

/** `hear` is told of each change before it is made, and may throw: the process dies then. */
export function memoryFiles(
  contents: Map<string, string> = new Map(),
  hear: (change: string) => void = () => undefined,
): MemoryFiles {
  return {
    contents,
    read: (name) => contents.get(name),
    async write(name, content) {
      hear(`write ${name}`);
      contents.set(name, content);
    },
    async remove(name) {
      hear(`remove ${name}`);
      contents.delete(name);
    },
  };
}
