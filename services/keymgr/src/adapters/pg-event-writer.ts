import type { EventLog } from '@gigvault/database/event-log';
import { ofThisRequest } from '@gigvault/database/new-event';
import { transaction } from '@gigvault/database/transaction';
import type { Pool } from 'pg';
import type { EventWriter } from '../ports/event-writer.ts';

/** Writes events that stand alone. */
export function pgEventWriter(pool: Pool, eventLog: EventLog): EventWriter {
  return {
    append: (event) =>
      transaction(pool, (client) => eventLog.append(client, [ofThisRequest(event)])),
  };
}
