import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { generateKeyObject } from '@gigvault/keystore/key-algorithm';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import { toPem } from '@gigvault/x509/pem';
import { caSubject, type Plan, type SubordinateKind } from '../plan/plan.ts';

const MARK = 'REHEARSAL';
const TRUST_DOMAIN = 'rehearsal.invalid';
const LONGEST_NAME = 64;

/** The plan as it is rehearsed: every name says so, and no address of it leads anywhere (RFC 2606 §2). */
export function rehearsalPlan(plan: Plan): Plan {
  const marked = <T extends { readonly subject: { readonly commonName: string } }>(ca: T): T => ({
    ...ca,
    subject: {
      ...ca.subject,
      commonName: `${MARK} ${ca.subject.commonName}`.slice(0, LONGEST_NAME).trimEnd(),
    },
  });
  return {
    ...plan,
    trustDomain: TRUST_DOMAIN,
    statusUrl: `http://${TRUST_DOMAIN}`,
    root: marked(plan.root),
    issuing: marked(plan.issuing),
    services: marked(plan.services),
  };
}

/** Errors: INVALID_ARGUMENT for a plan that rehearsalPlan has made, though its names be changed back. */
export function requireRealPlan({ trustDomain, root }: Plan): void {
  if (trustDomain !== TRUST_DOMAIN && !root.subject.commonName.startsWith(`${MARK} `)) return;
  throw new GigvaultError(
    'INVALID_ARGUMENT',
    `This is the plan of a rehearsal, for "${root.subject.commonName}": take the plan that was rehearsed.`,
  );
}

/** A request with a key that nobody has: PKCS #10, PEM. */
export async function rehearsalRequest(plan: Plan, kind: SubordinateKind): Promise<string> {
  const { privateKey } = await generateKeyObject(plan[kind].keyType);
  const subject = caSubject(plan, kind);
  const der = buildCertificationRequest({ privateKey, subject, subjectAltName: [] });
  return toPem('CERTIFICATE REQUEST', der);
}
