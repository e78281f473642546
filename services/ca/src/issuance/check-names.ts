import { isIP } from 'node:net';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { GeneralName as WireName } from '@gigvault/proto/ca/v1/issuance';
import { normalizeDnsName } from '@gigvault/x509/dns-name';
import { formatGeneralName, type GeneralName } from '@gigvault/x509/general-name';
import type { IssuanceProfile } from './profile-table.ts';

/** The most names of a certificate (fault T22). */
const MAX_NAMES = 100;

/** ub-common-name of RFC 5280 appendix A.1. */
const MAX_COMMON_NAME = 64;

/**
 * The names as they will stand in the certificate: normalised, duplicates dropped, order kept.
 * Errors: REJECTED_IDENTIFIER with the name's pointer, INVALID_ARGUMENT for too many.
 */
export function checkNames(
  names: readonly WireName[],
  profile: IssuanceProfile,
  development: boolean,
): readonly GeneralName[] {
  if (names.length > MAX_NAMES) {
    throw new GigvaultError('INVALID_ARGUMENT', `A certificate has at most ${MAX_NAMES} names.`);
  }
  const unique = new Map<string, GeneralName>();
  for (const [index, name] of names.entries()) {
    const checked = checkName(name, index, profile, development);
    unique.set(formatGeneralName(checked), checked);
  }
  return [...unique.values()];
}

/**
 * The commonName: empty, or, in profiles that name servers, one of the names (fault T26).
 * Errors: REJECTED_IDENTIFIER.
 */
export function checkCommonName(
  commonName: string,
  names: readonly GeneralName[],
  profile: IssuanceProfile,
): string {
  if (commonName === '') return '';
  if (profile.certificate.subject === 'empty') refuse('/commonName', commonName, 'the profile has an empty subject');
  if (commonName.length > MAX_COMMON_NAME) refuse('/commonName', commonName, `is longer than ${MAX_COMMON_NAME} characters`);
  if (hasControlCharacter(commonName)) refuse('/commonName', commonName, 'holds a control character');
  if (!profile.commonNameIsName) return commonName;
  const lower = commonName.toLowerCase();
  if (!names.some((name) => name.value === lower)) refuse('/commonName', commonName, 'is not one of the names');
  return lower;
}

function checkName(name: WireName, index: number, profile: IssuanceProfile, development: boolean): GeneralName {
  const pointer = `/subjectAltName/${index}`;
  const type = profile.nameTypes.find((allowed) => allowed === name.type);
  if (type === undefined) refuse(pointer, name.value, `profile '${profile.name}' has no names of type '${name.type}'`);
  switch (type) {
    case 'dns':
      return { type, value: normalizeDnsName(name.value, { development, wildcard: true }) };
    case 'ip':
      if (isIP(name.value) === 0) refuse(pointer, name.value, 'is not an IP address');
      return { type, value: name.value.toLowerCase() };
    case 'email':
      return { type, value: checkEmail(name.value, pointer) };
    case 'uri':
      return { type, value: checkUri(name.value, pointer, profile) };
  }
}

/** RFC 5280 §4.2.1.6 rfc822Name: ASCII, one `@`; the host part is compared without case, so it is lower-cased. */
function checkEmail(value: string, pointer: string): string {
  const match = /^([!#-'*+\-./0-9=?A-Z^-~]{1,64})@([0-9A-Za-z.-]{1,255})$/.exec(value);
  if (!match) refuse(pointer, value, 'is not an e-mail address');
  return `${match[1]}@${normalizeDnsName(match[2] ?? '', { development: false, wildcard: false })}`;
}

/** Absolute, printable ASCII. Identities of services never come from an enrolment. */
function checkUri(value: string, pointer: string, profile: IssuanceProfile): string {
  if (!/^[A-Za-z][A-Za-z0-9+.-]*:[!-~]{1,2000}$/.test(value) || !URL.canParse(value)) {
    refuse(pointer, value, 'is not an absolute URI');
  }
  if (profile.public && value.toLowerCase().startsWith('spiffe:')) {
    refuse(pointer, value, 'spiffe URIs are identities of services');
  }
  return value;
}

function hasControlCharacter(text: string): boolean {
  return /\p{Cc}/u.test(text);
}

function refuse(pointer: string, value: string, why: string): never {
  throw new GigvaultError('REJECTED_IDENTIFIER', `'${value.slice(0, 300)}': ${why}.`, {
    problems: [{ pointer, message: why }],
  });
}
