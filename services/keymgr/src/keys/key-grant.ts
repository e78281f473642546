import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { StoredKey, Usage } from './stored-key.ts';

/** What an owner may let others do. What becomes of a key as a whole is for its owner and those who manage all keys. */
export const GRANTABLE_USES = ['sign', 'verify', 'encrypt', 'decrypt', 'rotate'] as const;

/** One of GRANTABLE_USES. */
export type GrantableUse = (typeof GRANTABLE_USES)[number];

/** What can be done with a key at all, by what it is for. */
export const USES_OF: Readonly<Record<Usage, readonly GrantableUse[]>> = {
  sign: ['sign', 'verify', 'rotate'],
  encrypt: ['encrypt', 'decrypt', 'rotate'],
};

/** What one other person of the tenant may do with a key, as far as their roles allow it. */
export interface KeyGrant {
  /** As in events, `user:<id>`. */
  readonly user: string;
  /** Sorted as GRANTABLE_USES, each once, at least one. */
  readonly uses: readonly GrantableUse[];
}

/** Grants of one key. */
export const MAX_GRANTS = 100;

/** True when the person was granted this. */
export function isGranted(key: Pick<StoredKey, 'grants'>, use: string, actor: string): boolean {
  return key.grants.some(
    (grant) => grant.user === actor && (grant.uses as readonly string[]).includes(use),
  );
}

/** The list in its one form. Errors: INVALID_ARGUMENT for a person who is there twice, or more than MAX_GRANTS. */
export function normalGrants(grants: readonly KeyGrant[]): readonly KeyGrant[] {
  if (grants.length > MAX_GRANTS) throw invalid('', `at most ${MAX_GRANTS}`);
  const seen = new Set<string>();
  return grants.map(({ user, uses }, n) => {
    if (seen.has(user)) throw invalid(`/${n}/user`, `${user} is there twice`);
    seen.add(user);
    const sorted = GRANTABLE_USES.filter((use) => uses.includes(use));
    if (sorted.length === 0) throw invalid(`/${n}/uses`, 'names no use');
    return { user, uses: sorted };
  });
}

/** Nobody is told that somebody may what nobody can. Errors: INVALID_ARGUMENT, naming what the key can do. */
export function requireUsable(
  { usage }: Pick<StoredKey, 'usage'>,
  grants: readonly KeyGrant[],
): void {
  const can = USES_OF[usage];
  for (const [n, { uses }] of grants.entries()) {
    const useless = uses.filter((use) => !can.includes(use));
    if (useless.length > 0)
      throw invalid(
        `/${n}/uses`,
        `${useless.join(' and ')} cannot be done with a key that ${usage}s, only ${can.join(', ')}`,
      );
  }
}

function invalid(pointer: string, message: string): GigvaultError {
  return new GigvaultError('INVALID_ARGUMENT', `Grants: ${message}.`, {
    problems: [{ pointer: `/grants${pointer}`, message }],
  });
}
