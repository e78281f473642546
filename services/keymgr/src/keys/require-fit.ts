import { STATE_RULES } from './key-state.ts';
import { type RefusalDeps, refuseUse } from './refuse-use.ts';
import type { StoredKey, Usage } from './stored-key.ts';

/** What people do by means of a key. */
export type DataUse = 'sign' | 'verify' | 'encrypt' | 'decrypt';

/** What the state of the key must allow, and what the key must be for. */
const NEEDS: Readonly<
  Record<DataUse, { readonly allowed: 'protects' | 'processes'; readonly usage: Usage }>
> = {
  sign: { allowed: 'protects', usage: 'sign' },
  verify: { allowed: 'processes', usage: 'sign' },
  encrypt: { allowed: 'protects', usage: 'encrypt' },
  decrypt: { allowed: 'processes', usage: 'encrypt' },
};

/** The key is in a state for this use, and made for it. Each refusal is an event. Errors: KEY_USE_REFUSED. */
export async function requireFit(
  deps: RefusalDeps,
  key: StoredKey,
  use: DataUse,
  caller: string,
): Promise<void> {
  const why = whyUnfit(key, use);
  if (why !== undefined) throw await refuseUse(deps, key.keyId, { purpose: use, caller }, why);
}

function whyUnfit({ state, usage }: StoredKey, use: DataUse): string | undefined {
  const needs = NEEDS[use];
  if (!STATE_RULES[state][needs.allowed]) return `key is ${state}`;
  // Never both: one use could be turned against the other.
  if (usage === needs.usage) return undefined;
  return usage === 'sign' ? 'it signs, and does not encrypt' : 'it encrypts, and does not sign';
}
