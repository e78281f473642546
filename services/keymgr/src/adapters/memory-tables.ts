import type { EncryptionTable } from '../ports/encryption-table.ts';
import type { KeyEvent } from '../ports/key-event.ts';
import type { KeyTable } from '../ports/key-table.ts';
import { actorOf, type KeyUsage } from '../ports/key-usage.ts';
import type { IntentRecord, SignatureTable } from '../ports/signature-table.ts';
import type { UseLimits } from '../ports/use-limits.ts';
import { memoryEncryptionTable } from './memory-encryption-table.ts';
import { memoryKeyTable } from './memory-key-table.ts';

/** Every port of this service, in memory, for tests of flows. */
export interface MemoryTables {
  readonly keys: KeyTable;
  readonly encryptions: EncryptionTable;
  readonly signatures: SignatureTable;
  readonly usage: KeyUsage;
  /** None. */
  readonly limits: UseLimits;
  readonly events: KeyEvent[];
}

/** Empty tables. */
export function memoryTables(): MemoryTables {
  const intents = new Map<string, IntentRecord>();
  const events: KeyEvent[] = [];
  const keys = memoryKeyTable(events);

  function first(intentId: string, record: IntentRecord, event: KeyEvent): IntentRecord {
    const known = intents.get(intentId);
    if (known !== undefined) return known;
    intents.set(intentId, record);
    events.push(event);
    return record;
  }

  return {
    events,
    keys,
    encryptions: memoryEncryptionTable(keys),
    signatures: {
      record: async ({ intentId, keyId, tbsSha256, signature, purpose, caller }) =>
        first(
          intentId,
          { status: 'signed', keyId, tbsSha256, signature },
          {
            type: 'key.used',
            actor: `service:${caller}`,
            subject: keyId,
            data: { purpose, caller },
          },
        ),
      close: async (intentId, caller) =>
        first(
          intentId,
          { status: 'closed' },
          { type: 'signing.closed', actor: `service:${caller}`, subject: intentId, data: {} },
        ),
    },
    usage: {
      used: ({ keyId, purpose, caller }) => {
        events.push({
          type: 'key.used',
          actor: actorOf(caller),
          subject: keyId,
          data: { purpose },
        });
      },
      refused: async ({ keyId, purpose, caller }, reason) => {
        const data = { purpose, reason };
        events.push({ type: 'key.refused', actor: actorOf(caller), subject: keyId, data });
      },
    },
    limits: { take: async () => undefined },
  };
}
