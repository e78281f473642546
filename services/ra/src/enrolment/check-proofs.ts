import { GigvaultError, type Problem } from '@gigvault/errors/gigvault-error';
import type { GeneralName } from '@gigvault/proto/ca/v1/issuance';
import type { Proof } from '../ports/authorization-store.ts';

/**
 * Makes sure that the control of every name is proved, each by evidence of its own: as many proofs as names, keyed by name.
 * A proof counts for the one name that its evidence speaks about, and only when its authorization speaks about the same.
 * Errors: UNAUTHORIZED_IDENTIFIER with one problem for each name without proof.
 */
export function checkProofs(names: readonly GeneralName[], proofs: readonly Proof[]): void {
  const proved = new Map<string, string>();
  for (const { authorizationId, identifier, validated } of proofs) {
    if (keyOf(identifier) === keyOf(validated)) proved.set(keyOf(validated), authorizationId);
  }
  const problems = names.flatMap((name, index): Problem[] =>
    proved.has(keyOf(name))
      ? []
      : [
          {
            pointer: `/subjectAltName/${index}`,
            message: `There is no valid authorization for ${name.type} "${name.value}".`,
          },
        ],
  );
  const used = new Set(names.map((name) => proved.get(keyOf(name))));
  if (problems.length === 0 && used.size === names.length && names.length > 0) return;
  const message =
    problems.map((problem) => problem.message).join(' ') ||
    'The authorizations do not prove these names one by one.';
  throw new GigvaultError('UNAUTHORIZED_IDENTIFIER', message, { problems });
}

function keyOf({ type, value }: { readonly type: string; readonly value: string }): string {
  return `${type}:${value}`;
}
