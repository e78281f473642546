import type { Clock } from '@gigvault/time/clock';
import type { Backends } from '../backends/backends.ts';
import type { KeyTable } from '../ports/key-table.ts';
import type { UseLimits } from '../ports/use-limits.ts';

/** What making and finding keys needs. */
export interface KeyDeps {
  readonly backends: Backends;
  readonly keys: KeyTable;
  readonly limits: UseLimits;
  readonly clock: Clock;
}
