import { GigvaultError, type Problem } from '@gigvault/errors/gigvault-error';
import { normalizeGeneralName } from '@gigvault/x509/general-name';
import type { Identifier } from '../ports/orders.ts';

const MAX_IDENTIFIERS = 100;

/**
 * The identifiers of a new order in canonical form, each once, in the client's order (RFC 8555 §7.1.3, RFC 8738).
 * Errors: UNSUPPORTED_IDENTIFIER, REJECTED_IDENTIFIER with a problem for each, INVALID_ARGUMENT when there are none or over 100.
 *
 * @param development lets `localhost` and names below it pass.
 */
export function checkIdentifiers(
  identifiers: readonly { readonly type: string; readonly value: string }[],
  development: boolean,
): readonly Identifier[] {
  if (identifiers.length === 0 || identifiers.length > MAX_IDENTIFIERS) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `An order has 1 to ${MAX_IDENTIFIERS} identifiers.`,
    );
  }
  const problems: Problem[] = [];
  const details: Record<string, string> = {};
  const canonical = new Map<string, Identifier>();
  for (const [index, { type, value }] of identifiers.entries()) {
    if (type !== 'dns' && type !== 'ip') {
      throw new GigvaultError('UNSUPPORTED_IDENTIFIER', 'Identifiers are of type "dns" or "ip".');
    }
    try {
      if (type === 'dns' && value.startsWith('*.')) throw wildcardRefusal(value);
      const { value: normal } = normalizeGeneralName(
        { type, value },
        { development, wildcard: false },
      );
      const identifier: Identifier = { type, value: normal };
      canonical.set(`${type}:${identifier.value}`, identifier);
    } catch (error) {
      if (!(error instanceof GigvaultError)) throw error;
      const pointer = `/identifiers/${index}`;
      problems.push({ pointer, message: error.message });
      details[pointer] = `${type}:${value}`;
    }
  }
  if (problems.length > 0) {
    const message =
      problems.length === 1 ? problems[0]!.message : `${problems.length} identifiers are refused.`;
    throw new GigvaultError('REJECTED_IDENTIFIER', message, { problems, details });
  }
  return [...canonical.values()];
}

function wildcardRefusal(value: string): GigvaultError {
  return new GigvaultError(
    'REJECTED_IDENTIFIER',
    `DNS name ${JSON.stringify(value.slice(0, 80))} is refused: wildcards need dns-01, which is not offered.`,
  );
}
