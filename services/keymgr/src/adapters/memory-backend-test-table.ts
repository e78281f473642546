import type { BackendTestTable, TestKey } from '../ports/backend-test-table.ts';

/** A BackendTestTable for tests of flows. */
export function memoryBackendTestTable(): BackendTestTable {
  const begun = new Map<string, { key: TestKey; at: number }>();
  return {
    begin: async (key, at) => void begun.set(key.name, { key, at }),
    end: async (key) => void begun.delete(key.name),
    begunBefore: async (backend, then) =>
      [...begun.values()]
        .filter(({ key, at }) => key.backend === backend && at < then)
        .map(({ key }) => key),
  };
}
