import { column } from '@gigvault/database/columns';
import type { EventLog } from '@gigvault/database/event-log';
import type { StoredKey } from '../keys/stored-key.ts';
import type { KeyEvent } from '../ports/key-event.ts';

/** A use of a key as it was read, and the event that tells of it. */
export interface Use {
  readonly key: StoredKey;
  readonly event: KeyEvent;
}

/**
 * Tells of those uses, in one statement, whose number `expressions` leave in `told`. They get the uses as $1 to $4: key ids, versions, states and versions of
 * the grants, as they were read; then `more`. True, in order, for what was told.
 */
export async function recordUses(
  eventLog: EventLog,
  { name, expressions }: { readonly name: string; readonly expressions: string },
  uses: readonly Use[],
  ...more: readonly ReturnType<typeof column.text>[]
): Promise<boolean[]> {
  const rows = await eventLog.change<{ key: string }>({
    name,
    expressions,
    values: [
      column.text(uses.map(({ key }) => key.keyId)),
      column.integer(uses.map(({ key }) => key.version)),
      column.text(uses.map(({ key }) => key.state)),
      column.integer(uses.map(({ key }) => key.grantsVersion)),
      ...more,
    ],
    returning: 'SELECT key FROM told',
    events: uses.map(({ event }, n) => ({ key: String(n + 1), event })),
  });
  const told = new Set(rows.map(({ key }) => key));
  return uses.map((_use, n) => told.has(String(n + 1)));
}
