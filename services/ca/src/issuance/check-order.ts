import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { isUuid } from '@gigvault/ids/uuid';
import type { Clock } from '@gigvault/time/clock';
import { parseCertificationRequestOffLoop } from '@gigvault/x509/certification-request';
import type { GeneralName } from '@gigvault/x509/general-name';
import type { Attribute } from '@gigvault/x509/name';
import type { PublicKeyInfo } from '@gigvault/x509/public-key';
import type { Issuer, IssuerRegistry } from '../issuers/issuer-registry.ts';
import { checkCommonName, checkNames } from './check-names.ts';
import { checkValidity } from './check-validity.ts';
import type { IssuanceOrder } from './issuance-order.ts';
import type { IssuanceProfile, ProfileTable } from './profile-table.ts';

/** What the checks need. */
export interface CheckDeps {
  readonly issuers: IssuerRegistry;
  readonly profiles: ProfileTable;
  readonly clock: Clock;
  /** Allows `localhost` and `*.localhost`. */
  readonly development: boolean;
}

/** An order that passed every check, with what stands in the certificate. */
export interface CheckedOrder {
  readonly requestId: string;
  readonly issuer: Issuer;
  readonly profile: IssuanceProfile;
  readonly publicKey: PublicKeyInfo;
  readonly commonName: string;
  readonly subject: readonly Attribute[];
  /** Normalised, without duplicates, in the order of the request. */
  readonly subjectAltName: readonly GeneralName[];
  /** Unix milliseconds, whole seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly requester: string;
  readonly tenantId: string;
  readonly protocol: string;
}

/**
 * Step 5: checks everything again. Of the certification request only the key is used, and its proof of possession;
 * what else it asks for is never copied.
 * Errors: INVALID_ARGUMENT, NOT_FOUND (issuer), UNKNOWN_PROFILE, PROFILE_CHANGED, BAD_CSR, BAD_PUBLIC_KEY, REJECTED_IDENTIFIER,
 * KEY_UNAVAILABLE (the issuer has expired).
 */
export async function checkOrder(deps: CheckDeps, order: IssuanceOrder): Promise<CheckedOrder> {
  checkRequestId(order.requestId);
  const profile = checkProfile(deps.profiles, order);
  const issuer = await checkIssuer(deps.issuers, profile, order);
  const publicKey =
    order.heldKey ?? (await parseCertificationRequestOffLoop(order.certificationRequest)).publicKey;
  if (!profile.certificate.keyTypes.includes(publicKey.keyType)) {
    throw new GigvaultError(
      'BAD_PUBLIC_KEY',
      `Profile '${profile.name}' does not take ${publicKey.keyType} keys.`,
      {
        details: { keyType: publicKey.keyType, allowed: profile.certificate.keyTypes.join(', ') },
      },
    );
  }
  if (publicKey.spki.equals(issuer.certificate.spki)) {
    throw new GigvaultError('BAD_PUBLIC_KEY', 'This is the key of the CA itself.');
  }
  const subjectAltName = checkNames(order.subjectAltName, profile, deps.development);
  const commonName = checkCommonName(order.commonName, subjectAltName, profile);
  const { notBefore, notAfter } = checkValidity(
    order,
    profile.certificate,
    issuer.certificate,
    deps.clock.now(),
  );
  return {
    requestId: order.requestId,
    issuer,
    profile,
    publicKey,
    commonName,
    subject: commonName === '' ? [] : [{ type: 'CN', value: commonName }],
    subjectAltName,
    notBefore,
    notAfter,
    requester: order.requester,
    tenantId: order.tenantId,
    protocol: order.protocol,
  };
}

function checkRequestId(requestId: string): void {
  if (isUuid(requestId)) return;
  throw new GigvaultError('INVALID_ARGUMENT', 'The request id is not a UUID.');
}

function checkProfile(profiles: ProfileTable, order: IssuanceOrder): IssuanceProfile {
  const profile = profiles.get(order.profile);
  // An internal profile does not exist for anybody who may name one.
  if (profile === undefined || profile.public === order.internal) {
    throw new GigvaultError('UNKNOWN_PROFILE', `Profile '${order.profile}' does not exist.`, {
      details: { profile: order.profile },
    });
  }
  if (profile.hash === order.profileHash) return profile;
  throw new GigvaultError(
    'PROFILE_CHANGED',
    `Profile '${profile.name}' has changed since the order was made.`,
    {
      details: { profile: profile.name, ordered: order.profileHash, present: profile.hash },
    },
  );
}

async function checkIssuer(
  issuers: IssuerRegistry,
  profile: IssuanceProfile,
  order: IssuanceOrder,
): Promise<Issuer> {
  const issuerId = order.issuerId === '' ? profile.issuerId : order.issuerId;
  // A profile without a CA of its own (ocsp-signer) is issued by the issuer that is asked for, whichever key of its CA that is.
  if (profile.issuerId !== '' && issuerId !== profile.issuerId) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `Profile '${profile.name}' is issued by '${profile.issuerId}' only.`,
      {
        details: { profile: profile.name, issuerId },
      },
    );
  }
  const issuer = await (profile.issuerId === ''
    ? issuers.get(issuerId)
    : issuers.current(profile.issuerId));
  if (profile.public && !issuer.record.public) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `Issuer '${issuerId}' does not issue for enrolments.`,
    );
  }
  return issuer;
}
