/** A folder of a ceremony. Names are file names, never paths. */
export interface CeremonyFiles {
  /** Undefined: there is none. */
  read(name: string): string | undefined;
  /** Whole and on the disk when it resolves; a crash leaves the old content or the new. */
  write(name: string, content: string, mode: number): Promise<void>;
  /** Gone for good when it resolves, whether or not it was there. */
  remove(name: string): Promise<void>;
}
