import type { Log } from '@gigvault/telemetry/log';
import type { ClockGuard } from '@gigvault/time/clock-guard';
import type { Backends } from '../backends/backends.ts';
import { type KeyVersion, type StoredKey, versionName } from '../keys/stored-key.ts';
import { moveKey } from '../life/move-key.ts';
import type { KeyEvent } from '../ports/key-event.ts';
import type { KeyTable } from '../ports/key-table.ts';

/** What destroying needs. */
export interface DestroyDeps {
  readonly backends: Backends;
  readonly keys: Pick<KeyTable, 'due' | 'versions' | 'move'>;
  /** People besides who asked without whom no key is destroyed. */
  readonly destructionApprovals: number;
  readonly clockGuard: ClockGuard;
  readonly log: Log;
}

const BATCH = 100;
const ACTOR = 'service:keymgr';

/**
 * Destroys the keys whose wait is over, batch by batch; one that cannot be destroyed now does not hold up the others, and is tried again in the next
 * round. Ends early when `signal` aborts. Errors: UNAVAILABLE while the clock is not right: who sets it forward destroys nothing (T15).
 *
 * @returns how many
 */
export async function destroyDueKeys(deps: DestroyDeps, signal: AbortSignal): Promise<number> {
  let destroyed = 0;
  let last: StoredKey | undefined;
  for (;;) {
    const keys = await deps.keys.due(deps.clockGuard.now(), deps.destructionApprovals, last, BATCH);
    for (const key of keys) {
      if (signal.aborted) return destroyed;
      deps.clockGuard.check();
      if (await isDestroyed(deps, key)) destroyed += 1;
    }
    last = keys.at(-1);
    if (keys.length < BATCH) return destroyed;
  }
}

async function isDestroyed(deps: DestroyDeps, key: StoredKey): Promise<boolean> {
  try {
    await destroyKey(deps, key);
    return true;
  } catch (error) {
    // Undone, marked as compromised, or destroyed by another replica; or its backend does not answer.
    const where = { key_id: key.keyId, operation: 'destroy-key' };
    deps.log.warn({ error, ...where }, 'a key whose destruction is due is not destroyed');
    return false;
  }
}

/** First the way back is closed, so that nothing is undone of which parts are gone; then the private keys go; then the key is called destroyed. */
async function destroyKey(deps: DestroyDeps, due: StoredKey): Promise<void> {
  const { keyId, state, destroyAt, destroyBy } = due;
  const event = (type: KeyEvent['type'], data: object): KeyEvent => ({
    type,
    actor: ACTOR,
    subject: keyId,
    data,
  });
  const key =
    due.restoreState === null
      ? due
      : await moveKey(
          deps,
          due,
          { state, destroyAt, restoreState: null, destroyBy },
          event('key.destruction-begun', { destroyAt, by: destroyBy }),
        );
  const versions = [key, ...(await earlierVersions(deps, key))];
  for (const { backend, handle } of versions) await deps.backends.of(backend).remove(handle);
  // Of a rotation that came to nothing. None can come any more: its state is not the one that a rotation has read.
  const left = versionName({ keyId, version: key.version + 1 });
  await deps.backends.of(key.backend).namedKeys?.remove(key.keyType, left);
  const next = { state: 'destroyed', destroyAt: null, restoreState: null, destroyBy } as const;
  const data = { from: state, versions: versions.length };
  await moveKey(deps, key, next, event('key.destroyed', data));
  deps.log.info({ key_id: keyId, operation: 'destroy-key' }, 'a key is destroyed');
}

async function earlierVersions(
  { keys }: Pick<DestroyDeps, 'keys'>,
  { keyId, version }: StoredKey,
): Promise<readonly KeyVersion[]> {
  const found: KeyVersion[] = [];
  for (;;) {
    const page = await keys.versions(keyId, found.at(-1)?.version ?? version, BATCH);
    found.push(...page);
    if (page.length < BATCH) return found;
  }
}
