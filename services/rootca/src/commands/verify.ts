import { hash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '@gigvault/time/clock';
import { type ParsedCertificate, readCertificate } from '@gigvault/x509/certificate';
import { readCertList } from '@gigvault/x509/crl';
import type { Check } from '../ceremony/check.ts';
import { crlProblem, rootProblem, subordinateProblem } from '../ceremony/check-hierarchy.ts';
import { HIERARCHY_FILES, ROOT_FILES } from '../ceremony/root-files.ts';
import { verifyTranscript } from '../ceremony/transcript.ts';
import { caGeneration, type Plan, parsePlan, planHash } from '../plan/plan.ts';
import { newestCrlNumber, type RecordedStep, transcriptFiles } from './recorded-steps.ts';
import { ANOTHER_PLAN, readPem, readText } from './root-directory.ts';

const SUBORDINATES = ['issuing', 'services'] as const;

interface Subject {
  readonly directory: string;
  readonly root: ParsedCertificate;
  /** Undefined when plan.yaml cannot be read: nothing can be compared then. */
  readonly plan: Plan | undefined;
  /** From every transcript that is well. */
  readonly steps: readonly RecordedStep[];
  readonly now: number;
}

/**
 * `rootca verify`: looks at a directory as a stranger would, without the key: the plan, certificates, CRL, transcripts. What the root has
 * signed must be as planned and stand in a transcript. Errors: NOT_FOUND without a root certificate.
 */
export function verify(directory: string, clock: Clock): Check[] {
  const root = readCertificate(readPem(join(directory, ROOT_FILES.certificate), 'CERTIFICATE'));
  const steps: RecordedStep[] = [];
  let plan: Plan | undefined;
  const checks = [
    check(ROOT_FILES.plan, () => {
      plan = parsePlan(readText(join(directory, ROOT_FILES.plan)));
      return undefined;
    }),
  ];
  for (const file of transcriptFiles(directory)) {
    checks.push(
      check(file, () => {
        const record = verifyTranscript(readText(join(directory, file)), root.der);
        steps.push(...record.steps);
        const isOfPlan = plan === undefined || planHash(plan) === record.planSha256;
        return isOfPlan ? undefined : ANOTHER_PLAN;
      }),
    );
  }
  const subject = { directory, root, plan, steps, now: clock.now() };
  for (const file of readdirSync(directory)) {
    if (file.endsWith('.crt')) checks.push(check(file, () => checkCertificate(file, subject)));
    if (file.endsWith('.crl')) checks.push(check(file, () => checkCrl(file, subject)));
  }
  return [...checks, ...missing(directory)].sort((a, b) => (a.what < b.what ? -1 : 1));
}

function missing(directory: string): Check[] {
  return [ROOT_FILES.crl, ROOT_FILES.transcript]
    .filter((file) => !existsSync(join(directory, file)))
    .map((what) => ({ what, problem: 'is missing' }));
}

/** What `run` says is wrong, or throws. */
export function check(what: string, run: () => string | undefined): Check {
  try {
    return { what, problem: run() };
  } catch (error) {
    return { what, problem: (error as Error).message };
  }
}

function checkCertificate(file: string, subject: Subject): string | undefined {
  const certificate = readCertificate(readPem(join(subject.directory, file), 'CERTIFICATE'));
  return planProblem(file, certificate, subject) ?? unrecorded(certificate.der, subject);
}

/** A file with the name of a part must hold that part; any other is compared with what its subject says. */
function planProblem(
  file: string,
  certificate: ParsedCertificate,
  subject: Subject,
): string | undefined {
  const { plan, root, now } = subject;
  if (plan === undefined) return 'cannot be compared with a plan';
  const named = SUBORDINATES.find((kind) => file === HIERARCHY_FILES[kind]);
  if (named === undefined && certificate.der.equals(root.der))
    return rootProblem(plan, certificate, now);
  const said = caGeneration(plan, 'services', certificate.subject) ? 'services' : 'issuing';
  const kind = named ?? said;
  return subordinateProblem(plan, kind, certificate, root, now);
}

function checkCrl(file: string, subject: Subject): string | undefined {
  const { directory, root, steps, now } = subject;
  const list = readCertList(readPem(join(directory, file), 'X509 CRL'));
  const newest = newestCrlNumber(steps);
  return (
    crlProblem(list, root, now) ??
    (list.crlNumber < newest ? `is not the newest: number ${newest} was issued` : undefined) ??
    unrecorded(list.der, subject)
  );
}

function unrecorded(der: Buffer, { steps }: Subject): string | undefined {
  const sha256 = hash('sha256', der);
  return steps.some((step) => step.sha256 === sha256) ? undefined : 'stands in no transcript';
}
