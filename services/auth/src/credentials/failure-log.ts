import type { Clock } from '@gigvault/time/clock';
import type { AuthEvent } from '../ports/auth-event.ts';
import type { FailureJournal } from '../ports/failure-journal.ts';

/** What was refused. */
export type CredentialKind = 'access-token' | 'api-key' | 'setup-token' | 'certificate';

/** Gathers refused credentials, so that a guesser writes one event per interval and not one per guess. */
export interface FailureLog {
  record(kind: CredentialKind, clientIp: string, keyId?: string): void;
  /** Writes one `auth.failed` event per kind and client address since the last time; keeps them when the write fails. */
  flush(): Promise<void>;
}

interface Gathered {
  readonly kind: CredentialKind;
  readonly clientIp: string;
  readonly keyIds: Set<string>;
  firstAt: number;
  count: number;
  lastAt: number;
}

const MOST_ENTRIES = 1000;
const MOST_KEY_IDS = 10;

/** A failure log over a journal. What lies in memory between two flushes is lost with the process. */
export function createFailureLog(journal: FailureJournal, clock: Clock): FailureLog {
  let gathered = new Map<string, Gathered>();

  function entry(kind: CredentialKind, clientIp: string): Gathered {
    const crowded = gathered.size >= MOST_ENTRIES && !gathered.has(`${kind} ${clientIp}`);
    const address = crowded ? 'others' : clientIp;
    const found = gathered.get(`${kind} ${address}`);
    if (found) return found;
    const now = clock.now();
    const made = {
      kind,
      clientIp: address,
      keyIds: new Set<string>(),
      firstAt: now,
      lastAt: now,
      count: 0,
    };
    gathered.set(`${kind} ${address}`, made);
    return made;
  }

  return {
    record(kind, clientIp, keyId) {
      const failed = entry(kind, clientIp);
      failed.count += 1;
      failed.lastAt = clock.now();
      if (keyId && failed.keyIds.size < MOST_KEY_IDS) failed.keyIds.add(keyId);
    },
    async flush() {
      if (gathered.size === 0) return;
      const writing = gathered;
      gathered = new Map();
      try {
        await journal.append([...writing.values()].map(failedEvent));
      } catch (error) {
        for (const failed of writing.values()) addTo(entry(failed.kind, failed.clientIp), failed);
        throw error;
      }
    },
  };
}

function addTo(into: Gathered, failed: Gathered): void {
  into.count += failed.count;
  into.firstAt = Math.min(into.firstAt, failed.firstAt);
  for (const keyId of failed.keyIds) into.keyIds.add(keyId);
}

function failedEvent({ kind, clientIp, keyIds, firstAt, lastAt, count }: Gathered): AuthEvent {
  return {
    type: 'auth.failed',
    actor: 'service:auth',
    subject: kind,
    data: { clientIp, count, firstAt, lastAt, keyIds: [...keyIds] },
  };
}
