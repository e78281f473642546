import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { CliFailure } from '../failure.ts';
import { day, dayAndDistance } from '../output/times.ts';
import { type Action, listOption } from '../program/command-spec.ts';
import type { Session } from '../session.ts';
import { certificatesOf, factsOf } from './certificate-text.ts';
import { readInput } from './files.ts';
import type { CertificateDocument } from './resources.ts';

interface Check {
  readonly name: 'chain' | 'validity' | 'names' | 'revocation';
  readonly ok: boolean;
  readonly text: string;
}

const LONGEST_CHAIN = 8;

/** Verifies a certificate file against the context's root: chain, validity, names, revocation. Exit 10 when a check fails. */
export const certVerify: Action = async (session, [file = ''], options) => {
  const [leaf, ...others] = certificatesOf(await readInput(session.terminal, file), file) as [
    X509Certificate,
    ...X509Certificate[],
  ];
  const roots = await trustedRoots(session);
  const now = session.terminal.clock.now();
  const chain = chainOf(leaf, others, roots);
  const checks = [
    chainCheck(chain, roots),
    validityCheck(chain, now),
    namesCheck(leaf, listOption(options, 'name')),
    ...(options['offline'] ? [] : [await revocationCheck(session, leaf)]),
  ];
  const facts = factsOf(leaf);
  await session.output.result({
    data: { file, serialNumber: facts.serialNumber, ok: checks.every((check) => check.ok), checks },
    names: [facts.serialNumber],
    text: ({ ok, bad, green, red }) =>
      checks
        .map(
          (check) => `${check.ok ? green(ok) : red(bad)} ${check.name.padEnd(11)} ${check.text}\n`,
        )
        .join(''),
  });
  const failed = checks.filter((check) => !check.ok);
  if (failed.length === 0) return 0;
  throw new CliFailure(`${file} does not verify`, {
    shownCode: 'GV-CERTIFICATE-NOT-VERIFIED',
    exitCode: 10,
    facts: failed.map(({ name, text }) => ({ subject: name, text })),
    tries: [{ command: `gigvault cert get ${file}`, note: 'what the server knows of it' }],
  });
};

async function trustedRoots(session: Session): Promise<X509Certificate[]> {
  const { ca, name } = await session.context();
  if (ca) return certificatesOf(ca, `the CA file of context "${name}"`);
  throw new CliFailure(`context "${name}" has no CA file to verify against`, {
    code: 'INVALID_ARGUMENT',
    tries: [{ command: '--ca-file root.crt' }],
  });
}

/** The leaf and its issuers as far as signatures lead; the last one is a root when the chain is whole. */
function chainOf(
  leaf: X509Certificate,
  others: readonly X509Certificate[],
  roots: readonly X509Certificate[],
): X509Certificate[] {
  const chain = [leaf];
  for (let at = leaf; chain.length < LONGEST_CHAIN && !isAmong(at, roots); ) {
    const issuer = [...roots, ...others].find(
      (candidate) => !chain.includes(candidate) && hasIssued(candidate, at),
    );
    if (!issuer) break;
    chain.push(issuer);
    at = issuer;
  }
  return chain;
}

/** `checkIssued` compares names and key usage, `verify` the signature; a CA must say that it is one. */
function hasIssued(issuer: X509Certificate, subject: X509Certificate): boolean {
  return issuer.ca && subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
}

function isAmong(certificate: X509Certificate, roots: readonly X509Certificate[]): boolean {
  return roots.some((root) => root.raw.equals(certificate.raw));
}

function chainCheck(chain: readonly X509Certificate[], roots: readonly X509Certificate[]): Check {
  const text = chain.map((certificate) => factsOf(certificate).subject || 'no name').join(' ← ');
  const whole = isAmong(chain.at(-1) as X509Certificate, roots);
  return {
    name: 'chain',
    ok: whole,
    text: whole ? text : `${text} ← not signed by the context's root`,
  };
}

function validityCheck(chain: readonly X509Certificate[], now: number): Check {
  const facts = chain.map(factsOf);
  const bad = facts.find(({ notBefore, notAfter }) => now < notBefore || now > notAfter);
  const { notBefore, notAfter, subject } = bad ?? (facts[0] as (typeof facts)[0]);
  if (!bad)
    return {
      name: 'validity',
      ok: true,
      text: `${day(notBefore)} → ${dayAndDistance(notAfter, now)}`,
    };
  const text =
    now > notAfter
      ? `expired ${dayAndDistance(notAfter, now)}`
      : `not valid before ${dayAndDistance(notBefore, now)}`;
  return { name: 'validity', ok: false, text: `${subject}: ${text}` };
}

function namesCheck(leaf: X509Certificate, wanted: readonly string[]): Check {
  const { names } = factsOf(leaf);
  const missing = wanted.filter(
    (name) => !(isIP(name) ? leaf.checkIP(name) : leaf.checkHost(name, { subject: 'never' })),
  );
  const text =
    missing.length === 0
      ? names.join('  ')
      : `not for ${missing.join(', ')}; for ${names.join(', ')}`;
  return { name: 'names', ok: missing.length === 0, text };
}

async function revocationCheck(session: Session, leaf: X509Certificate): Promise<Check> {
  const { serialNumber } = factsOf(leaf);
  const api = await session.api();
  try {
    const found = await api.get<CertificateDocument>(`/certificates/${serialNumber}`);
    if (found.status === 'revoked')
      return {
        name: 'revocation',
        ok: false,
        text: `revoked on ${day(found.revokedAt ?? 0)} (${found.reason ?? 'unspecified'})`,
      };
    const same =
      found.certificate !== undefined &&
      certificatesOf(found.certificate, 'the answer')[0]?.raw.equals(leaf.raw);
    return same
      ? { name: 'revocation', ok: true, text: 'not revoked' }
      : {
          name: 'revocation',
          ok: false,
          text: 'the server knows another certificate by this serial number',
        };
  } catch (error) {
    if (error instanceof CliFailure && error.shownCode === 'GV-CERTIFICATE-NOT-FOUND')
      return { name: 'revocation', ok: false, text: 'the server did not issue this certificate' };
    throw error;
  }
}
