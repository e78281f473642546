import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** Takes whole lines, each with its end. */
export interface LineWriter {
  /** Never throws: a line that cannot be written is lost, and counted. */
  write(line: string): void;
}

/** How often, and how many milliseconds apart, a pipe is asked whose reader is slow. The process stands still meanwhile. */
const PATIENCE = { tries: 10, pause: 10 };

let lost = 0;

/** Lines of this process that no file could take. */
export function lostLines(): number {
  return lost;
}

/**
 * Appends lines to a file, one write a line, done when `write` returns. A full disk or a closed pipe costs lines, not the process; a
 * file that failed is opened anew for the next line, so that lines come back with the space.
 *
 * @param destination a path, made with its folder; or a file descriptor, as 2 for stderr
 * @param recovered told after the first line that could be written again
 */
export function openLineWriter(
  destination: string | number,
  recovered: (lost: number, error: unknown) => void,
): LineWriter {
  let fd: number | undefined = open(destination);
  let failure: { error: unknown; lost: number } | undefined;
  /** A line was written in part: the next begins on a line of its own. */
  let torn = false;

  function append(line: string): void {
    fd ??= open(destination);
    let rest = Buffer.from(torn ? `\n${line}` : line);
    const { length } = rest;
    try {
      for (let tries = 0; rest.length > 0; ) {
        try {
          rest = rest.subarray(writeSync(fd, rest));
        } catch (error) {
          // Who waited once in vain does not wait for each line.
          if (!isBusy(error) || failure || ++tries > PATIENCE.tries) throw error;
          pause();
        }
      }
      torn = false;
    } catch (error) {
      torn ||= rest.length < length;
      throw error;
    }
  }

  return {
    write(line) {
      try {
        append(line);
      } catch (error) {
        lost++;
        failure = { error, lost: (failure?.lost ?? 0) + 1 };
        if (typeof destination === 'string') {
          if (fd !== undefined) close(fd);
          fd = undefined;
        }
        return;
      }
      if (failure === undefined) return;
      const over = failure;
      failure = undefined;
      recovered(over.lost, over.error);
    },
  };
}

function open(destination: string | number): number {
  if (typeof destination === 'number') return destination;
  mkdirSync(dirname(destination), { recursive: true });
  return openSync(destination, 'a');
}

function close(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // Some file systems tell here what the write told already.
  }
}

function isBusy(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EAGAIN';
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PATIENCE.pause);
}
