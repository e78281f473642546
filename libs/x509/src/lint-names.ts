import { isIP } from 'node:net';
import { DerReader } from './der.ts';
import { dnsNameProblem } from './dns-name.ts';
import { formatGeneralName, type GeneralName, normalizeGeneralName } from './general-name.ts';
import { normalizeIpAddress } from './ip-address.ts';
import type { LintRule, LintSubject } from './lint-rule.ts';
import { attributeValue } from './name.ts';
import { OID } from './oid.ts';

/** Rules about subjectAltName and the common name. */
export const NAME_RULES: readonly LintRule[] = [
  {
    rule: 'subject-alt-name-is-present',
    source: 'BR §7.1.2.7.12',
    check: checkPresence,
  },
  {
    rule: 'subject-alt-name-is-critical-iff-subject-is-empty',
    source: 'RFC 5280 §4.2.1.6',
    check: ({ extensions, subject }) => {
      const extension = extensions.get(OID.subjectAltName);
      if (extension === undefined || extension.critical === (subject.length === 0))
        return undefined;
      return extension.critical
        ? 'subjectAltName is critical though there is a subject.'
        : 'subjectAltName is not critical though the subject is empty.';
    },
  },
  {
    rule: 'common-name-is-among-names',
    source: 'BR §7.1.4.3',
    check: checkCommonName,
  },
  {
    rule: 'name-types-are-allowed',
    source: 'BR §7.1.2.7.12',
    check: ({ names, profile }) => {
      const other = names.find(({ type }) => !profile.nameTypes.includes(type));
      return other && `Profile ${profile.name} has no names of type ${other.type}.`;
    },
  },
  {
    rule: 'dns-names-are-well-formed',
    source: 'RFC 5280 §4.2.1.6',
    check: ({ names }) => firstProblem(names, 'dns', ({ value }) => dnsProblem(value, true)),
  },
  {
    rule: 'wildcards-are-allowed',
    source: 'BR §7.1.4.2.1',
    check: ({ names, profile }) =>
      firstProblem(names, 'dns', ({ value }) =>
        value.startsWith('*') && !profile.wildcard
          ? `Profile ${profile.name} has no wildcards.`
          : undefined,
      ),
  },
  {
    rule: 'ip-addresses-are-4-or-16-octets',
    source: 'RFC 5280 §4.2.1.6',
    check: checkIpOctets,
  },
  {
    rule: 'mail-addresses-and-uris-are-well-formed',
    source: 'RFC 5280 §4.2.1.6',
    check: ({ names }) => {
      for (const name of names) {
        if (name.type === 'email' || name.type === 'uri') normalizeGeneralName(name, LENIENT);
      }
      return undefined;
    },
  },
  {
    rule: 'names-are-distinct',
    source: 'RFC 5280 §4.2.1.6',
    check: ({ names }) =>
      new Set(names.map(formatGeneralName)).size === names.length
        ? undefined
        : 'A name stands twice.',
  },
];

/** Whether names of the development profile may be issued is decided before; the lint looks at their form. */
const LENIENT = { development: true, wildcard: true } as const;

function checkPresence({ extensions, profile, subject }: LintSubject): string | undefined {
  const present = extensions.has(OID.subjectAltName);
  if (present && profile.nameTypes.length === 0)
    return `Profile ${profile.name} has no subjectAltName.`;
  if (present || (profile.nameTypes.length === 0 && subject.length > 0)) return undefined;
  return 'There is no subjectAltName.';
}

/** A `fixed` subject is a name that the CA gave, not one that was validated. */
function checkCommonName({ subject, names, profile }: LintSubject): string | undefined {
  const commonName = attributeValue(subject, 'CN');
  if (commonName === undefined || profile.subject === 'fixed') return undefined;
  const wanted = isIP(commonName) === 0 ? commonName : normalizeIpAddress(commonName);
  return names.some(({ value }) => value === wanted)
    ? undefined
    : 'The common name is not among the names.';
}

function dnsProblem(value: string, wildcard: boolean): string | undefined {
  const problem = dnsNameProblem(value, { ...LENIENT, wildcard });
  return problem && `DNS name ${value}: ${problem}`;
}

function firstProblem(
  names: readonly GeneralName[],
  type: GeneralName['type'],
  problemOf: (name: GeneralName) => string | undefined,
): string | undefined {
  for (const name of names) {
    const problem = name.type === type ? problemOf(name) : undefined;
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Looks at the octets, since reading the names would already have refused them. */
function checkIpOctets({ extensions }: LintSubject): string | undefined {
  const extension = extensions.get(OID.subjectAltName);
  if (extension === undefined) return undefined;
  const list = new DerReader(extension.value).sequence();
  while (!list.done) {
    const isAddress = list.is(0x87);
    const { length } = list.content();
    if (isAddress && length !== 4 && length !== 16) return `An IP address has ${length} octets.`;
  }
  return undefined;
}
