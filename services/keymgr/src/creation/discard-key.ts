import type { Backends } from '../backends/backends.ts';
import type { KeyVersion, VersionName } from '../keys/stored-key.ts';
import type { KeyTable } from '../ports/key-table.ts';

/** More than may be made of one key while a request for it is in flight. */
const VERSIONS = 100;

/**
 * Removes a key from its backend that was made for a version, and that no row was given. A backend that finds keys by their names gives the same to two who ask
 * at the same time: it stays where a row names it, and as long as the other one may still write such a row. Then the next who makes that version finds it.
 * Errors: KEY_UNAVAILABLE.
 */
export async function discardKey(
  { backends, keys }: { backends: Backends; keys: Pick<KeyTable, 'find' | 'versions'> },
  { keyId, version }: VersionName,
  { backend, handle }: Pick<KeyVersion, 'backend' | 'handle'>,
): Promise<void> {
  const store = backends.of(backend);
  if (store.namedKeys !== undefined) {
    const row = await keys.find(keyId);
    if (row === undefined || row.version < version) return;
    const versions = [row, ...(await keys.versions(keyId, row.version, VERSIONS))];
    if (versions.some((known) => known.backend === backend && known.handle === handle)) return;
  }
  await store.remove(handle);
}
