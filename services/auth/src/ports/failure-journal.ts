import type { AuthEvent } from './auth-event.ts';

/** Where refused credentials, and certificates that were used, are written down. */
export interface FailureJournal {
  append(events: readonly AuthEvent[]): Promise<void>;
}
