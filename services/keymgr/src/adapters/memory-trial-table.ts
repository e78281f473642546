import type { KeyHandle } from '@gigvault/keystore/key-store';
import type { TrialTable } from '../ports/trial-table.ts';

/** A TrialTable for tests of flows. */
export function memoryTrialTable(): TrialTable {
  const trials = new Map<string, { backend: string; handle: KeyHandle; at: number }>();
  return {
    begin: async (backend, handle, at) =>
      void trials.set(`${backend}/${handle}`, { backend, handle, at }),
    end: async (backend, handle) => void trials.delete(`${backend}/${handle}`),
    begunBefore: async (backend, then) =>
      [...trials.values()]
        .filter((trial) => trial.backend === backend && trial.at < then)
        .map(({ handle }) => handle)
        .sort(),
  };
}
