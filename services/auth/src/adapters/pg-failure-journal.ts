import type { EventLog } from '@gigvault/database/event-log';
import { transaction } from '@gigvault/database/transaction';
import type { Pool } from 'pg';
import type { FailureJournal } from '../ports/failure-journal.ts';

/** Writes refused credentials to the event log. */
export function pgFailureJournal(pool: Pool, eventLog: EventLog): FailureJournal {
  return { append: (events) => transaction(pool, (client) => eventLog.append(client, events)) };
}
