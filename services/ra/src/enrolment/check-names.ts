import { asGigvaultError, GigvaultError, type Problem } from '@gigvault/errors/gigvault-error';
import type { GeneralName } from '@gigvault/proto/ca/v1/issuance';
import type { CertificationRequest } from '@gigvault/x509/certification-request';
import {
  distinctNames,
  formatGeneralName,
  normalizeGeneralName,
  type GeneralName as X509Name,
} from '@gigvault/x509/general-name';

/** The names that a certificate would have. */
export interface RequestedNames {
  /** Empty: none. */
  readonly commonName: string;
  readonly subjectAltName: GeneralName[];
}

/**
 * The names of a certification request, in canonical form and without repeats (T32).
 *
 * @param wanted The identifiers of the order; the request must ask for exactly these, in any order. Empty: whatever it asks for.
 * Errors: BAD_CSR when it has no names, others than wanted, or a common name that is not among them (T26);
 * REJECTED_IDENTIFIER with one problem for each name that is refused (T24, T25).
 */
export function checkNames(
  csr: CertificationRequest,
  wanted: readonly GeneralName[],
  options: { readonly development: boolean },
): RequestedNames {
  const asked = normalizeAll(csr.subjectAltName, options.development);
  if (asked.length === 0) {
    throw new GigvaultError(
      'BAD_CSR',
      'The certification request has no subjectAltName; a common name alone is not enough.',
    );
  }
  const order = normalizeAll(wanted as X509Name[], options.development);
  if (order.length > 0) mustBeSame(order, asked);
  return {
    commonName: checkCommonName(csr.commonName ?? '', asked),
    subjectAltName: order.length > 0 ? order : asked,
  };
}

function normalizeAll(names: readonly X509Name[], development: boolean): X509Name[] {
  const problems: Problem[] = [];
  const normal = names.map((name, index) => {
    try {
      return refuseOwnIdentities(normalizeGeneralName(name, { development, wildcard: true }));
    } catch (caught) {
      problems.push({
        pointer: `/subjectAltName/${index}`,
        message: asGigvaultError(caught).message,
      });
      return name;
    }
  });
  if (problems.length > 0) {
    throw new GigvaultError(
      'REJECTED_IDENTIFIER',
      problems.map(({ message }) => message).join(' '),
      { problems },
    );
  }
  return distinctNames(normal);
}

/** The house's own services are named so; no enrolment may ever look like one of them. */
function refuseOwnIdentities(name: X509Name): X509Name {
  if (name.type !== 'uri' || !/^spiffe:/i.test(name.value)) return name;
  throw new GigvaultError(
    'REJECTED_IDENTIFIER',
    'URIs of the scheme spiffe are not issued to enrolments.',
  );
}

function mustBeSame(order: readonly X509Name[], asked: readonly X509Name[]): void {
  const missing = without(order, asked).map((name) => `${name} is missing`);
  const extra = without(asked, order).map((name) => `${name} is not in the order`);
  if (missing.length + extra.length === 0) return;
  throw new GigvaultError(
    'BAD_CSR',
    `The names of the certification request are not those of the order: ${[...missing, ...extra].join(', ')}.`,
  );
}

function without(names: readonly X509Name[], others: readonly X509Name[]): string[] {
  const known = new Set(others.map(formatGeneralName));
  return names.map(formatGeneralName).filter((name) => !known.has(name));
}

function checkCommonName(commonName: string, names: readonly X509Name[]): string {
  if (commonName === '') return commonName;
  const match = names.find(
    ({ value }) => value === commonName || value === commonName.toLowerCase(),
  );
  if (match) return match.value;
  throw new GigvaultError(
    'BAD_CSR',
    `The common name ${JSON.stringify(commonName.slice(0, 64))} is not among the subject alternative names.`,
  );
}
