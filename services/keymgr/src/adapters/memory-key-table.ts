import type { KeyVersion, StoredKey } from '../keys/stored-key.ts';
import type { KeyEvent } from '../ports/key-event.ts';
import type { KeyTable } from '../ports/key-table.ts';

/** A KeyTable for tests of flows. @param events gets every event */
export function memoryKeyTable(events: KeyEvent[]): KeyTable {
  const keys = new Map<string, StoredKey>();
  const earlier = new Map<string, KeyVersion[]>();

  function change(key: StoredKey, next: Partial<StoredKey>, event: KeyEvent): boolean {
    const known = keys.get(key.keyId);
    if (known === undefined || !isAsBefore(known, key)) return false;
    keys.set(key.keyId, { ...known, ...next });
    events.push(event);
    return true;
  }

  return {
    async insert(key, event) {
      if (keys.has(key.keyId)) return false;
      keys.set(key.keyId, key);
      events.push(event);
      return true;
    },
    find: async (keyId) => keys.get(keyId),
    async list({ limit, after, tenantId, state, backend }) {
      return [...keys.values()]
        .filter((key) => key.keyId > after)
        .filter((key) => tenantId === undefined || key.tenantId === tenantId)
        .filter((key) => state === undefined || key.state === state)
        .filter((key) => backend === undefined || key.backend === backend)
        .sort((a, b) => (a.keyId < b.keyId ? -1 : 1))
        .slice(0, limit);
    },
    versions: async (keyId, before, limit) =>
      (earlier.get(keyId) ?? []).filter(({ version }) => version < before).slice(0, limit),
    move: async (key, next, event) => change(key, next, event),
    async rotate(key, next, event) {
      if (!change(key, next, event)) return false;
      const { version, publicKey, backend, handle, versionCreatedAt } = key;
      const kept = { version, publicKey, backend, handle, versionCreatedAt };
      earlier.set(key.keyId, [kept, ...(earlier.get(key.keyId) ?? [])]);
      return true;
    },
    grant: async (key, grants, event) =>
      change(key, { grants, grantsVersion: key.grantsVersion + 1 }, event),
    recordUse: async (key, event) => change(key, {}, event),
    async due(until, approvals, after, limit) {
      return [...keys.values()]
        .filter(({ destroyAt }) => destroyAt !== null && destroyAt <= until)
        .filter(
          (key) => key.restoreState === null || key.destroyBy.length > approvals || approvals === 0,
        )
        .sort(byDestruction)
        .filter((key) => after === undefined || byDestruction(after, key) < 0)
        .slice(0, limit);
    },
  };
}

function isAsBefore(known: StoredKey, key: StoredKey): boolean {
  const parts = ['version', 'state', 'destroyAt', 'restoreState', 'grantsVersion'] as const;
  const isSame = parts.every((part) => known[part] === key[part]);
  return isSame && known.destroyBy.join() === key.destroyBy.join();
}

function byDestruction(a: StoredKey, b: StoredKey): number {
  return Number(a.destroyAt) - Number(b.destroyAt) || (a.keyId < b.keyId ? -1 : 1);
}
