import type { Backends } from '../backends/backends.ts';
import type { KeyTable } from '../ports/key-table.ts';
import type { KeyVersion } from './stored-key.ts';

/** More than may be made of one key while a request for it is in flight. */
const VERSIONS = 100;

/**
 * Removes a key from its backend that no row was given. A backend that finds keys by their names gives the same to two who ask at the same time: when
 * the other one's row names it, it stays. Errors: KEY_UNAVAILABLE.
 */
export async function discardKey(
  { backends, keys }: { backends: Backends; keys: Pick<KeyTable, 'find' | 'versions'> },
  keyId: string,
  { backend, handle }: Pick<KeyVersion, 'backend' | 'handle'>,
): Promise<void> {
  const row = await keys.find(keyId);
  const versions =
    row === undefined ? [] : [row, ...(await keys.versions(keyId, row.version, VERSIONS))];
  if (versions.some((version) => version.backend === backend && version.handle === handle)) return;
  await backends.of(backend).remove(handle);
}
