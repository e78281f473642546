import { isSignedBy, type ParsedCertificate } from '@gigvault/x509/certificate';
import type { ParsedCertList } from '@gigvault/x509/crl';
import { encodeName, formatName } from '@gigvault/x509/name';
import { verifySignature } from '@gigvault/x509/signature';
import { caGeneration, caSubject, type Plan, type SubordinateKind } from '../plan/plan.ts';
import { rootTbs, subordinateTbs } from './planned-certificate.ts';

/** What a person has carried here from the root's machine. */
export interface Hierarchy {
  readonly root: ParsedCertificate;
  readonly issuing: ParsedCertificate;
  readonly services: ParsedCertificate;
  readonly rootCrl: ParsedCertList;
}

/** One part of a hierarchy and what is wrong with it. */
export interface HierarchyProblem {
  readonly part: keyof Hierarchy;
  /** As `is not signed by the root`. */
  readonly problem: string;
}

/** What keeps a hierarchy from being used under this plan; empty when it is well. `now` is Unix ms. */
export function checkHierarchy(plan: Plan, parts: Hierarchy, now: number): HierarchyProblem[] {
  const { root, issuing, services, rootCrl } = parts;
  const found: [keyof Hierarchy, string | undefined][] = [
    ['root', rootProblem(plan, root, now)],
    // Of a new installation, so for the CAs' first keys.
    [
      'issuing',
      subjectProblem(plan, 'issuing', issuing) ??
        subordinateProblem(plan, 'issuing', issuing, root, now),
    ],
    ['services', subordinateProblem(plan, 'services', services, root, now)],
    ['rootCrl', crlProblem(rootCrl, root, now)],
  ];
  const revoked = new Set([...rootCrl.entries()].map((entry) => entry.serialNumber));
  for (const kind of ['issuing', 'services'] as const)
    if (revoked.has(parts[kind].serialNumber)) found.push([kind, 'is revoked by the root CRL']);
  return found.flatMap(([part, problem]) => (problem === undefined ? [] : [{ part, problem }]));
}

/** Undefined when the certificate is this plan's root. */
export function rootProblem(plan: Plan, root: ParsedCertificate, now: number): string | undefined {
  return (
    subjectProblem(plan, 'root', root) ??
    (isSignedBy(root, root) ? undefined : 'is not signed by itself') ??
    timeProblem(root, now) ??
    keyTypeProblem(plan, 'root', root) ??
    (rootTbs(plan, root).equals(root.tbs) ? undefined : NOT_AS_PLANNED)
  );
}

/** Undefined when the certificate is this plan's CA of that kind, of any generation, and this root's. */
export function subordinateProblem(
  plan: Plan,
  kind: SubordinateKind,
  certificate: ParsedCertificate,
  root: ParsedCertificate,
  now: number,
): string | undefined {
  const generation = caGeneration(plan, kind, certificate.subject);
  if (generation === undefined || !certificate.isCa) return subjectProblem(plan, kind, certificate);
  return (
    (isSignedBy(certificate, root) ? undefined : 'is not signed by the root') ??
    timeProblem(certificate, now) ??
    (certificate.notAfter > root.notAfter ? 'outlives the root' : undefined) ??
    (certificate.pathLenConstraint === 0 ? undefined : 'does not have path length 0') ??
    keyTypeProblem(plan, kind, certificate) ??
    (subordinateTbs(plan, { kind, generation }, root, certificate).equals(certificate.tbs)
      ? undefined
      : NOT_AS_PLANNED)
  );
}

/** Undefined when it is a CRL of this root for its CAs, and not overdue. */
export function crlProblem(
  list: ParsedCertList,
  root: ParsedCertificate,
  now: number,
): string | undefined {
  if (!isCrlOf(list, root)) return 'is not signed by the root';
  if (list.scope !== 'caCerts') return 'is not a CRL of CA certificates';
  return now > list.nextUpdate ? 'is overdue' : undefined;
}

/** True when this root signed it. Its times are not looked at. */
export function isCrlOf(list: ParsedCertList, root: ParsedCertificate): boolean {
  const { signatureAlgorithm, tbs, signature } = list;
  return (
    list.issuer.equals(root.subject) &&
    verifySignature(root.publicKey.keyObject, signatureAlgorithm, tbs, signature)
  );
}

/** An extension that is missing, wrong or too many, or another encoding: this program makes none of them. */
const NOT_AS_PLANNED = 'says other things than the plan: URLs, constraints or key usage differ';

function subjectProblem(
  plan: Plan,
  ca: 'root' | SubordinateKind,
  { subject, isCa }: ParsedCertificate,
): string | undefined {
  if (!isCa) return 'is not a CA certificate';
  const planned = encodeName(caSubject(plan, ca));
  if (subject.equals(planned)) return undefined;
  return `is for "${formatName(subject)}", the plan says "${formatName(planned)}"`;
}

function keyTypeProblem(
  plan: Plan,
  ca: 'root' | SubordinateKind,
  { publicKey }: ParsedCertificate,
): string | undefined {
  const { keyType } = plan[ca];
  if (publicKey.keyType === keyType) return undefined;
  return `has a key of type ${publicKey.keyType}, the plan says ${keyType}`;
}

function timeProblem(certificate: ParsedCertificate, now: number): string | undefined {
  const { notBefore, notAfter } = certificate;
  return now < notBefore || now > notAfter ? 'is not valid now' : undefined;
}
