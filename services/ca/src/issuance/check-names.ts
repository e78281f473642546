import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { GeneralName as WireName } from '@gigvault/proto/ca/v1/issuance';
import { distinctNames, type GeneralName, normalizeGeneralName } from '@gigvault/x509/general-name';
import { attributeProblem } from '@gigvault/x509/name';
import type { IssuanceProfile } from './profile-table.ts';

/** The most names of a certificate (fault T22). */
const MAX_NAMES = 100;

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
  return distinctNames(
    names.map((name, index) => checkName(name, `/subjectAltName/${index}`, profile, development)),
  );
}

/**
 * The commonName: empty, or, in profiles whose subject is a commonName only, one of the names (fault T26).
 * Errors: REJECTED_IDENTIFIER.
 */
export function checkCommonName(
  commonName: string,
  names: readonly GeneralName[],
  profile: IssuanceProfile,
): string {
  if (commonName === '') return '';
  const { subject } = profile.certificate;
  const problem = attributeProblem({ type: 'CN', value: commonName });
  if (problem !== undefined) refuse('/commonName', problem);
  if (subject === 'empty')
    refuse('/commonName', `certificates of profile '${profile.name}' have no subject`);
  if (subject === 'fixed') return commonName;
  const name = names.find(({ value }) => value === commonName.toLowerCase());
  if (name === undefined) refuse('/commonName', 'the commonName is not one of the names');
  return name.value;
}

function checkName(
  name: WireName,
  pointer: string,
  profile: IssuanceProfile,
  development: boolean,
): GeneralName {
  const { nameTypes, wildcard } = profile.certificate;
  const type = nameTypes.find((allowed) => allowed === name.type);
  if (type === undefined)
    refuse(pointer, `profile '${profile.name}' has no names of type '${name.type}'`);
  const normal = normalize({ type, value: name.value }, pointer, { development, wildcard });
  // Identities of services come from their mTLS identity, never from an enrolment.
  if (profile.public && type === 'uri' && /^spiffe:/i.test(normal.value)) {
    refuse(pointer, 'spiffe URIs are identities of services');
  }
  return normal;
}

function normalize(
  name: GeneralName,
  pointer: string,
  options: { development: boolean; wildcard: boolean },
): GeneralName {
  try {
    return normalizeGeneralName(name, options);
  } catch (error) {
    if (!(error instanceof GigvaultError)) throw error;
    throw new GigvaultError(error.code, error.message, {
      problems: [{ pointer, message: error.message }],
    });
  }
}

function refuse(pointer: string, why: string): never {
  throw new GigvaultError('REJECTED_IDENTIFIER', `${pointer}: ${why}.`, {
    problems: [{ pointer, message: why }],
  });
}
