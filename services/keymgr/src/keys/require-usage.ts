import type { KeyUse } from '../ports/key-usage.ts';
import { type RefusalDeps, refuseUse } from './refuse-use.ts';
import type { StoredKey, Usage } from './stored-key.ts';

/** A key signs or encrypts, never both: one use could be turned against the other. Each refusal is an event. Errors: KEY_USE_REFUSED. */
export async function requireUsage(
  deps: RefusalDeps,
  key: StoredKey,
  usage: Usage,
  use: Pick<KeyUse, 'purpose' | 'caller'>,
): Promise<void> {
  if (key.usage === usage) return;
  const why =
    key.usage === 'sign' ? 'it signs, and does not encrypt' : 'it encrypts, and does not sign';
  throw await refuseUse(deps, key.keyId, use, why);
}
