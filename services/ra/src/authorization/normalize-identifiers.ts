import { type AddressRules, refusalOf } from '@gigvault/egress/address-rules';
import { asGigvaultError, GigvaultError, type Problem } from '@gigvault/errors/gigvault-error';
import type { Identifier } from '@gigvault/proto/ra/v1/authorization';
import { normalizeDnsName } from '@gigvault/x509/dns-name';
import { normalizeIpAddress } from '@gigvault/x509/ip-address';

const MAX_IDENTIFIERS = 100;

/**
 * The identifiers of an order in canonical form, in the same order. Errors: REJECTED_IDENTIFIER, or UNSUPPORTED_IDENTIFIER
 * when that is all that is wrong, with one problem for each identifier that is refused (T25); INVALID_ARGUMENT for none or
 * more than 100.
 */
export function normalizeIdentifiers(
  identifiers: readonly Identifier[],
  rules: AddressRules,
): Identifier[] {
  if (identifiers.length === 0 || identifiers.length > MAX_IDENTIFIERS) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `An order has 1 to ${MAX_IDENTIFIERS} identifiers.`,
    );
  }
  const problems: Refused[] = [];
  const normal = identifiers.map((identifier, index) => {
    try {
      return normalizeIdentifier(identifier, rules);
    } catch (caught) {
      const { code, message } = asGigvaultError(caught);
      problems.push({
        pointer: `/identifiers/${index}`,
        message,
        identifier,
        unsupported: code === 'UNSUPPORTED_IDENTIFIER',
      });
      return identifier;
    }
  });
  if (problems.length > 0) throw refusal(problems);
  return normal;
}

function normalizeIdentifier({ type, value }: Identifier, rules: AddressRules): Identifier {
  if (type === 'ip') return normalizeIpIdentifier(value, rules);
  if (type !== 'dns') {
    throw new GigvaultError(
      'UNSUPPORTED_IDENTIFIER',
      `Identifiers of type ${JSON.stringify(type.slice(0, 40))} are not supported; dns and ip are.`,
    );
  }
  if (value.startsWith('*.')) {
    throw new GigvaultError(
      'REJECTED_IDENTIFIER',
      `"${value.slice(0, 255)}": wildcards need dns-01, which is not offered; http-01 cannot validate them.`,
    );
  }
  return {
    type,
    value: normalizeDnsName(value, { development: rules.development, wildcard: false }),
  };
}

function normalizeIpIdentifier(value: string, rules: AddressRules): Identifier {
  const address = normalizeIpAddress(value);
  const refused = refusalOf(rules, address, address);
  if (refused !== undefined)
    throw new GigvaultError(
      'REJECTED_IDENTIFIER',
      `"${address}": ${refused} addresses are not issued for.`,
    );
  return { type: 'ip', value: address };
}

type Refused = Problem & { readonly identifier: Identifier; readonly unsupported: boolean };

/** `details` names each problem's identifier by its pointer, as `dns:a.example`. */
function refusal(problems: readonly Refused[]): GigvaultError {
  const code = problems.every(({ unsupported }) => unsupported)
    ? 'UNSUPPORTED_IDENTIFIER'
    : 'REJECTED_IDENTIFIER';
  const plain = problems.map(({ pointer, message }) => ({ pointer, message }));
  const details = Object.fromEntries(
    problems.map(({ pointer, identifier: { type, value } }) => [pointer, `${type}:${value}`]),
  );
  return new GigvaultError(code, plain.map(({ message }) => message).join(' '), {
    problems: plain,
    details,
  });
}
