import type { KeyEvent } from './key-event.ts';

/** Tells the audit log of what changes no row of the database. */
export interface EventWriter {
  /** Durable when it resolves. */
  append(event: KeyEvent): Promise<void>;
}
