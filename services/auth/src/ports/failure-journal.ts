import type { AuthEvent } from './auth-event.ts';

/** Where refused credentials are written down. */
export interface FailureJournal {
  append(events: readonly AuthEvent[]): Promise<void>;
}
