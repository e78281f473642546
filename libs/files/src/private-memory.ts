import { existsSync, writeFileSync } from 'node:fs';

/** Which mappings of a process stand in its core dump (Linux, core(5)); those it starts inherit it. */
const COREDUMP_FILTER = '/proc/self/coredump_filter';

/**
 * Keeps what this process and those that it starts hold in memory, keys and passwords among it, out of core dumps (Linux only), and Node's
 * debugger, which would show it to every user of this machine, closed: SIGUSR1 opens it otherwise (fault T66). To be called first of all.
 */
export function keepMemoryPrivate(): void {
  process.on('SIGUSR1', () => undefined);
  if (!existsSync(COREDUMP_FILTER)) return;
  try {
    writeFileSync(COREDUMP_FILTER, '0');
  } catch (error) {
    // A sandbox may keep /proc to itself; what its processes dump is then its own affair.
    if (!REFUSED.has((error as NodeJS.ErrnoException).code)) throw error;
  }
}

const REFUSED: ReadonlySet<string | undefined> = new Set(['EACCES', 'EPERM', 'EROFS']);
