import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Clock } from '@gigvault/time/clock';
import { buildCaTbsCertificate, type NameConstraints } from '@gigvault/x509/ca-certificate';
import { type ParsedCertificate, readCertificate } from '@gigvault/x509/certificate';
import { parseCertificationRequest } from '@gigvault/x509/certification-request';
import { encodeName, formatName } from '@gigvault/x509/name';
import type { PublicKeyInfo } from '@gigvault/x509/public-key';
import { newSerialNumber } from '@gigvault/x509/serial-number';
import { caSubject, type Plan, type SubordinateKind } from '../plan/plan.ts';
import { type Root, rootKeyType, rootUrls, signAsRoot } from './root.ts';
import { requireWithin, validityOfYears } from './validity.ts';

/**
 * The certificate of a CA below the root, as the plan says, for the key in a PKCS #10 request: cA TRUE, path length 0. The services CA is
 * constrained to identities of the trust domain.
 * Errors: BAD_CSR or BAD_PUBLIC_KEY for the request, INVALID_ARGUMENT when it asks for another subject or key type than the plan, or
 * when the root ends earlier.
 */
export function signSubordinateCa(
  root: Root,
  kind: SubordinateKind,
  certificationRequest: Buffer,
  clock: Clock,
): ParsedCertificate {
  const { subject, publicKey } = parseCertificationRequest(certificationRequest);
  const planned = caSubject(root.plan, kind);
  if (!encodeName(subject).equals(encodeName(planned))) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `The request is for "${formatName(subject)}", the plan says "${formatName(planned)}".`,
    );
  }
  return signCaKey(root, kind, publicKey, clock);
}

/** As signSubordinateCa, for a key whose possession the caller has proved in another way. */
export function signCaKey(
  root: Root,
  kind: SubordinateKind,
  publicKey: PublicKeyInfo,
  clock: Clock,
): ParsedCertificate {
  const { plan, certificate, privateKey } = root;
  const { keyType, validityYears } = plan[kind];
  if (publicKey.keyType !== keyType) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `The key is ${publicKey.keyType}, the plan says ${keyType}.`,
    );
  }
  const validity = validityOfYears(clock.now(), validityYears, plan.backdateMinutes);
  requireWithin(validity, certificate);
  const tbs = buildCaTbsCertificate({
    serialNumber: newSerialNumber(),
    issuer: certificate.subject,
    subject: caSubject(plan, kind),
    publicKey,
    issuerKeyIdentifier: certificate.publicKey.keyIdentifier,
    signingKeyType: rootKeyType(root),
    ...validity,
    pathLenConstraint: 0,
    ...rootUrls(plan),
    ...(kind === 'services' && { nameConstraints: trustDomainOnly(plan) }),
  });
  return readCertificate(signAsRoot(privateKey, certificate.publicKey, tbs));
}

/**
 * URIs of exactly the trust domain (no dot in front: subdomains are other domains, RFC 5280 §4.2.1.10). A list of permitted URIs says
 * nothing about other kinds of names, so DNS names and addresses are excluded by hand: the CA of the services is no CA for the web.
 */
function trustDomainOnly({ trustDomain }: Plan): NameConstraints {
  return {
    permitted: [{ type: 'uri', value: trustDomain }],
    excluded: [
      { type: 'dns', value: '' },
      { type: 'ip', value: '0.0.0.0/0' },
      { type: 'ip', value: '::/0' },
    ],
  };
}
