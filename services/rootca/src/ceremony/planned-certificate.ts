import { buildCaTbsCertificate, type NameConstraints } from '@gigvault/x509/ca-certificate';
import type { ParsedCertificate } from '@gigvault/x509/certificate';
import type { PublicKeyInfo } from '@gigvault/x509/public-key';
import { caSubject, type Plan, type SubordinateKind } from '../plan/plan.ts';
import { rootUrls } from './root.ts';
import type { Validity } from './validity.ts';

/** All of a CA certificate that the plan does not say. */
export interface Unplanned extends Validity {
  /** Lower-case hex. */
  readonly serialNumber: string;
  readonly publicKey: PublicKeyInfo;
}

/** A whole certificate may be given for it, whose other fields must not slip in. */
function unplannedOf({ serialNumber, publicKey, notBefore, notAfter }: Unplanned): Unplanned {
  return { serialNumber, publicKey, notBefore, notAfter };
}

/** TBSCertificate of the plan's root. */
export function rootTbs(plan: Plan, unplanned: Unplanned): Buffer {
  const subject = caSubject(plan, 'root');
  return buildCaTbsCertificate({
    ...unplannedOf(unplanned),
    issuer: subject,
    subject,
    issuerKeyIdentifier: unplanned.publicKey.keyIdentifier,
    signingKeyType: unplanned.publicKey.keyType,
  });
}

/** A CA of the plan, by its key. */
export interface PlannedCa {
  readonly kind: SubordinateKind;
  /** From 1, see caSubject. */
  readonly generation: number;
}

/** TBSCertificate of a CA of the plan below this root. */
export function subordinateTbs(
  plan: Plan,
  { kind, generation }: PlannedCa,
  root: ParsedCertificate,
  unplanned: Unplanned,
): Buffer {
  return buildCaTbsCertificate({
    ...unplannedOf(unplanned),
    issuer: root.subject,
    subject: caSubject(plan, kind, generation),
    issuerKeyIdentifier: root.publicKey.keyIdentifier,
    signingKeyType: root.publicKey.keyType,
    pathLenConstraint: 0,
    ...rootUrls(plan),
    ...(kind === 'services' && { nameConstraints: trustDomainOnly(plan) }),
  });
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
