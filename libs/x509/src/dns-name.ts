import { isIP } from 'node:net';
import { domainToASCII, domainToUnicode } from 'node:url';
import { GigvaultError } from '@gigvault/errors/gigvault-error';

/** Which names pass. */
export interface DnsNameOptions {
  /** Allows `localhost` and the names below it. */
  readonly development: boolean;
  /** Allows `*.` in front. */
  readonly wildcard: boolean;
}

const MAX_NAME = 253;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const REVERSE_ZONE = /(?:^|\.)(?:in-addr|ip6)\.arpa$/;
const LATIN = /\p{Script=Latin}/u;
const LATIN_LOOKALIKE =
  /\p{Script=Cyrillic}|\p{Script=Greek}|\p{Script=Armenian}|\p{Script=Cherokee}/u;

/**
 * The name in the one form that certificates carry: lower-case A-labels without a trailing dot. ASCII upper case is lowered;
 * everything else that is not already in that form throws REJECTED_IDENTIFIER (T24, T25).
 */
export function normalizeDnsName(value: string, options: DnsNameOptions): string {
  const name = value.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  const problem = dnsNameProblem(name, options);
  if (problem === undefined) return name;
  // The value may hold anything, so only a short printable form of it is shown.
  const shown = JSON.stringify(value.slice(0, 80));
  throw new GigvaultError('REJECTED_IDENTIFIER', `DNS name ${shown} is refused: ${problem}`);
}

/** What is wrong with a name, as a sentence, or undefined when it may stand in a certificate (RFC 5280 §4.2.1.6; BR §7.1.4.2.1). */
export function dnsNameProblem(name: string, options: DnsNameOptions): string | undefined {
  if (name.length === 0) return 'it is empty.';
  if (name.length > MAX_NAME) return `it is longer than ${MAX_NAME} characters.`;
  if (name.endsWith('.')) return 'it ends in a dot.';
  if (isIP(name) !== 0) return 'it is an IP address.';
  if (!name.startsWith('*.')) return hostProblem(name, options);
  if (!options.wildcard) return 'wildcards are not allowed here.';
  return wildcardProblem(name.slice(2), options);
}

function wildcardProblem(base: string, options: DnsNameOptions): string | undefined {
  if (options.development && base === 'localhost') return undefined;
  if (!base.includes('.')) return 'a wildcard needs at least two labels after it.';
  return hostProblem(base, options);
}

function hostProblem(name: string, options: DnsNameOptions): string | undefined {
  const labels = name.split('.');
  for (const label of labels) {
    const problem = labelProblem(label);
    if (problem !== undefined) return problem;
  }
  const top = labels[labels.length - 1]!;
  if (top === 'localhost') {
    return options.development
      ? undefined
      : 'localhost names exist only in the development profile.';
  }
  if (labels.length === 1) return 'it has a single label.';
  if (/^\d+$/.test(top)) return 'its last label is a number.';
  if (REVERSE_ZONE.test(name)) return 'it is in a reverse zone.';
  return undefined;
}

function labelProblem(label: string): string | undefined {
  if (label.length === 0) return 'it has an empty label.';
  if (label.length > 63) return 'a label is longer than 63 characters.';
  if (label.includes('*')) return 'a wildcard stands only in front, alone.';
  if (!LABEL.test(label))
    return 'only lower-case letters, digits and inner hyphens are allowed in a label.';
  if (label.slice(2, 4) !== '--') return undefined;
  return label.startsWith('xn--')
    ? aLabelProblem(label)
    : 'hyphens in third and fourth place are reserved.';
}

/** RFC 5891 §4.4: decoding and encoding must give the label back. */
function aLabelProblem(label: string): string | undefined {
  const unicode = domainToUnicode(label);
  if (unicode === '' || unicode === label || domainToASCII(unicode) !== label) {
    return 'an A-label does not decode to a valid U-label.';
  }
  if (LATIN.test(unicode) && LATIN_LOOKALIKE.test(unicode)) {
    return 'a label mixes scripts that look alike.';
  }
  return undefined;
}
