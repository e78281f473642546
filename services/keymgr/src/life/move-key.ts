import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { StoredKey } from '../keys/stored-key.ts';
import type { KeyEvent } from '../ports/key-event.ts';
import type { KeyCourse, KeyTable } from '../ports/key-table.ts';

/** Stores what comes of a key that was read. Errors: CONFLICT when somebody changed it since. */
export async function moveKey(
  deps: { readonly keys: Pick<KeyTable, 'move'> },
  key: StoredKey,
  next: KeyCourse,
  event: KeyEvent,
): Promise<StoredKey> {
  const moved = await durableStep('keymgr.state', () => deps.keys.move(key, next, event));
  if (!moved) throw changedMeanwhile(key.keyId);
  return { ...key, ...next };
}

/** CONFLICT, of whoever wanted to replace a version that is not the current one any more. */
export function staleVersion({ keyId, version }: StoredKey, wanted: number): GigvaultError {
  return new GigvaultError('CONFLICT', `Key '${keyId}' is at version ${version}, not ${wanted}.`, {
    details: { key_id: keyId, version },
  });
}

/** CONFLICT. */
export function changedMeanwhile(keyId: string): GigvaultError {
  return new GigvaultError('CONFLICT', `Key '${keyId}' was changed by somebody else meanwhile.`, {
    details: { key_id: keyId },
  });
}
