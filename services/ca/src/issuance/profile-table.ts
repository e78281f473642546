import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { type CertificateProfile, profileHash } from '@gigvault/x509/profile';

/** A certificate profile and who issues it. */
export interface IssuanceProfile {
  readonly name: string;
  readonly certificate: CertificateProfile;
  /** SHA-256 (hex) of `certificate`: what an order is pinned to. */
  readonly hash: string;
  /** The CA, through all of its keys; its current one signs. Empty: the issuer that is asked for (ocsp-signer). */
  readonly issuerId: string;
  /** Offered to enrolment; false for what only GigVault itself may have. */
  readonly public: boolean;
}

/** The profiles in force, by name. */
export type ProfileTable = ReadonlyMap<string, IssuanceProfile>;

/** The profiles of issueInternalCertificate. */
export const INTERNAL_PROFILES = ['service', 'edge', 'ocsp-signer'] as const;

/** One of INTERNAL_PROFILES. */
export type InternalProfile = (typeof INTERNAL_PROFILES)[number];

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;

type Row = { issuerId: string; public: boolean; certificate: Omit<CertificateProfile, 'name'> };

const TLS_KEYS = ['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-3072', 'rsa-4096'] as const;

/** What every installation has. 47 days less a second, because RFC 5280 counts the last second in. */
const BUILT_IN: Readonly<Record<string, Row>> = {
  'tls-server': {
    issuerId: 'issuing',
    public: true,
    certificate: {
      keyTypes: TLS_KEYS,
      keyUsage: ['digitalSignature', 'keyEncipherment'],
      extendedKeyUsage: ['serverAuth'],
      defaultValidity: 47 * DAY - SECOND,
      maxValidity: 90 * DAY,
      backdate: HOUR,
      subject: 'commonName',
      nameTypes: ['dns', 'ip'],
      wildcard: true,
      policyIdentifiers: [],
      crlDistributionPoint: true,
      authorityInfoAccess: ['ocsp', 'caIssuers'],
      ocspNoCheck: false,
    },
  },
  'tls-client': {
    issuerId: 'issuing',
    public: true,
    certificate: {
      keyTypes: TLS_KEYS,
      keyUsage: ['digitalSignature'],
      extendedKeyUsage: ['clientAuth'],
      defaultValidity: 47 * DAY - SECOND,
      maxValidity: 90 * DAY,
      backdate: HOUR,
      subject: 'fixed',
      nameTypes: ['dns', 'email', 'uri'],
      wildcard: false,
      policyIdentifiers: [],
      crlDistributionPoint: true,
      authorityInfoAccess: ['ocsp', 'caIssuers'],
      ocspNoCheck: false,
    },
  },
  service: {
    issuerId: 'services',
    public: false,
    certificate: {
      keyTypes: ['ec-p256', 'ec-p384'],
      keyUsage: ['digitalSignature'],
      extendedKeyUsage: ['serverAuth', 'clientAuth'],
      defaultValidity: 90 * DAY - SECOND,
      maxValidity: 90 * DAY,
      backdate: HOUR,
      subject: 'empty',
      nameTypes: ['uri'],
      wildcard: false,
      policyIdentifiers: [],
      crlDistributionPoint: true,
      authorityInfoAccess: ['caIssuers'],
      ocspNoCheck: false,
    },
  },
  edge: {
    issuerId: 'issuing',
    public: false,
    certificate: {
      keyTypes: TLS_KEYS,
      keyUsage: ['digitalSignature', 'keyEncipherment'],
      extendedKeyUsage: ['serverAuth'],
      defaultValidity: 47 * DAY - SECOND,
      maxValidity: 47 * DAY - SECOND,
      backdate: HOUR,
      subject: 'empty',
      nameTypes: ['dns', 'ip'],
      wildcard: false,
      policyIdentifiers: [],
      crlDistributionPoint: true,
      authorityInfoAccess: ['ocsp', 'caIssuers'],
      ocspNoCheck: false,
    },
  },
  'ocsp-signer': {
    issuerId: '',
    public: false,
    certificate: {
      keyTypes: TLS_KEYS,
      keyUsage: ['digitalSignature'],
      extendedKeyUsage: ['OCSPSigning'],
      defaultValidity: 30 * DAY - SECOND,
      maxValidity: 30 * DAY,
      backdate: HOUR,
      subject: 'fixed',
      nameTypes: [],
      wildcard: false,
      policyIdentifiers: [],
      crlDistributionPoint: false,
      authorityInfoAccess: [],
      ocspNoCheck: true,
    },
  },
};

/** A change to a built-in profile, or, complete and with an issuerId, a further public one. */
export type ProfileOverride = Partial<Omit<CertificateProfile, 'name'>> & {
  readonly issuerId?: string | undefined;
};

/**
 * The built-in profiles with the configuration's changes. Nothing that ends up in a certificate gets a default: a further
 * profile names every field. Errors: INVALID_ARGUMENT naming the profile and the field.
 */
export function profileTable(overrides: Readonly<Record<string, ProfileOverride>>): ProfileTable {
  const names = [...new Set([...Object.keys(BUILT_IN), ...Object.keys(overrides)])].sort();
  return new Map(names.map((name) => [name, toProfile(name, overrides[name] ?? {})]));
}

function toProfile(name: string, { issuerId, ...changes }: ProfileOverride): IssuanceProfile {
  const row = Object.hasOwn(BUILT_IN, name) ? BUILT_IN[name] : undefined;
  const certificate = { ...row?.certificate, ...changes, name };
  checkProfile(certificate);
  const issuer = issuerId ?? row?.issuerId;
  if (issuer === undefined || (issuer === '' && row === undefined))
    refuse(name, 'issuerId', 'is missing');
  return {
    name,
    certificate,
    hash: profileHash(certificate),
    issuerId: issuer,
    public: row?.public ?? true,
  };
}

const FIELDS: readonly (keyof CertificateProfile)[] = Object.keys(
  BUILT_IN['tls-server']?.certificate ?? {},
) as never;

function checkProfile(
  profile: Partial<CertificateProfile> & { name: string },
): asserts profile is CertificateProfile {
  for (const field of FIELDS) {
    if (profile[field] === undefined) refuse(profile.name, field, 'is missing');
  }
  const { defaultValidity = 0, maxValidity = 0, backdate = 0 } = profile;
  if (defaultValidity < SECOND || defaultValidity > maxValidity)
    refuse(profile.name, 'defaultValidity', 'exceeds maxValidity');
  if (backdate < 0 || backdate > HOUR) refuse(profile.name, 'backdate', 'must be at most an hour');
  if (profile.keyTypes?.length === 0) refuse(profile.name, 'keyTypes', 'is empty');
  if (profile.extendedKeyUsage?.length === 0) refuse(profile.name, 'extendedKeyUsage', 'is empty');
}

function refuse(profile: string, field: string, why: string): never {
  throw new GigvaultError('INVALID_ARGUMENT', `ca.profiles.${profile}.${field} ${why}.`, {
    problems: [{ pointer: `/ca/profiles/${profile}/${field}`, message: why }],
  });
}
