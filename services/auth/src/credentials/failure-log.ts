import type { RefusedCertificate } from '@gigvault/access/known-certificates';
import type { Clock } from '@gigvault/time/clock';
import type { AuthEvent } from '../ports/auth-event.ts';
import type { FailureJournal } from '../ports/failure-journal.ts';

/** What was refused. */
export type CredentialKind = 'access-token' | 'api-key' | 'setup-token' | 'certificate';

/** Gathers refused credentials, so that a guesser writes one event per interval and not one per guess. */
export interface FailureLog {
  record(kind: CredentialKind, clientIp: string, keyId?: string): void;
  recordCertificate(refused: RefusedCertificate): void;
  /**
   * Writes one `auth.failed` event per kind and client address since the last time, and of certificates one for each token's user and certificate of another user with
   * it; keeps them when the write fails.
   */
  flush(): Promise<void>;
}

/** Failures of one kind become one event. */
interface Kind extends Partial<Pick<RefusedCertificate, 'actor' | 'certificate'>> {
  readonly kind: CredentialKind;
  readonly clientIp: string;
}

interface Gathered extends Kind {
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

  function entry(asked: Kind): Gathered {
    const crowded = gathered.size >= MOST_ENTRIES && !gathered.has(idOf(asked));
    const kind = crowded ? { kind: asked.kind, clientIp: 'others' } : asked;
    const found = gathered.get(idOf(kind));
    if (found) return found;
    const now = clock.now();
    const made = { ...kind, keyIds: new Set<string>(), firstAt: now, lastAt: now, count: 0 };
    gathered.set(idOf(kind), made);
    return made;
  }

  function add(kind: Kind, keyId?: string): void {
    const failed = entry(kind);
    failed.count += 1;
    failed.lastAt = clock.now();
    if (keyId && failed.keyIds.size < MOST_KEY_IDS) failed.keyIds.add(keyId);
  }

  return {
    record: (kind, clientIp, keyId) => add({ kind, clientIp }, keyId),
    recordCertificate: ({ clientIp, actor, certificate }) =>
      add({ kind: 'certificate', clientIp, ...(actor === '' ? {} : { actor, certificate }) }),
    async flush() {
      if (gathered.size === 0) return;
      const writing = gathered;
      gathered = new Map();
      try {
        await journal.append([...writing.values()].map(failedEvent));
      } catch (error) {
        for (const failed of writing.values()) addTo(entry(failed), failed);
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

function idOf({ kind, clientIp, actor, certificate }: Kind): string {
  return JSON.stringify([kind, clientIp, actor, certificate?.sha256]);
}

function failedEvent(failed: Gathered): AuthEvent {
  const { kind, clientIp, keyIds, firstAt, lastAt, count, actor, certificate } = failed;
  const gathered = { clientIp, count, firstAt, lastAt, keyIds: [...keyIds] };
  const event = { type: 'auth.failed', subject: kind } as const;
  if (actor === undefined) return { ...event, actor: 'service:auth', data: gathered };
  const data = certificate
    ? { ...gathered, reason: 'of another user than the token', certificate: { ...certificate } }
    : { ...gathered, reason: 'a token without one' };
  return { ...event, actor, data };
}
