import { hash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { asGigvaultError } from '@gigvault/errors/gigvault-error';
import type { Clock } from '@gigvault/time/clock';
import { readCertificate } from '@gigvault/x509/certificate';
import { fromPem, toPem } from '@gigvault/x509/pem';
import type { Check } from '../ceremony/check.ts';
import { LOCKED_STEP, readBackStep } from '../ceremony/custody-steps.ts';
import { fingerprintLines, readFingerprint } from '../ceremony/fingerprint.ts';
import { searchPrivateKeys } from '../ceremony/private-key-files.ts';
import { HIERARCHY_FILES, REQUEST_FILES, ROOT_FILES, requestStep } from '../ceremony/root-files.ts';
import {
  type CeremonyFacts,
  type TranscriptRecord,
  verifyTranscript,
} from '../ceremony/transcript.ts';
import { type Custody, parsePlan } from '../plan/plan.ts';
import { VERSION } from '../version.ts';
import { readPem, readText, transcriptOf } from './root-directory.ts';
import { check, verify } from './verify.ts';

const KINDS = ['issuing', 'services'] as const;
/** Files that one line names. */
const MOST_NAMES = 5;

/** What somebody knows of a ceremony who was there. */
export interface Known {
  /** The root's, hex or words, as it was written down. */
  readonly fingerprint?: string;
  /** The program's sum, as it was written down. */
  readonly programSha256?: string;
  /** A rehearsal is what is expected; otherwise one is a failure. */
  readonly isRehearsal?: boolean;
}

/**
 * `ceremony verify`: what a ceremony has left, looked at on any machine with nothing but the folder: everything that `rootca verify` checks (the
 * transcript's signature, chain, CRL, that certificates say what the plan says), and that the transcript is a ceremony's, that each of its files is
 * there as it was, that requests which are there were signed, that no private key is there, whose shares were read back, by which program, and in what room. Errors: NOT_FOUND without a root certificate; INVALID_ARGUMENT for a fingerprint that
 * is none.
 */
export function ceremonyVerify(directory: string, known: Known, clock: Clock): Check[] {
  const checks = verify(directory, clock);
  const root = readCertificate(readPem(join(directory, ROOT_FILES.certificate), 'CERTIFICATE'));
  checks.push(fingerprintCheck(root.der, known.fingerprint));
  checks.push(keyCheck(directory));
  let record: TranscriptRecord | undefined;
  const what = 'ceremony';
  checks.push(
    check(what, () => {
      record = verifyTranscript(readText(join(directory, ROOT_FILES.transcript)), root.der);
      if (record.ceremony !== undefined) return undefined;
      return 'the transcript does not tell of a key ceremony';
    }),
  );
  if (record?.ceremony === undefined) return checks;
  return [...checks, ...ceremonyChecks(directory, record, record.ceremony, known, root.der)];
}

/** True for a folder with the transcript of a key ceremony of its root. */
export function isCeremony(directory: string): boolean {
  if (!existsSync(join(directory, ROOT_FILES.transcript))) return false;
  const root = readPem(join(directory, ROOT_FILES.certificate), 'CERTIFICATE');
  try {
    const transcript = readText(join(directory, ROOT_FILES.transcript));
    return verifyTranscript(transcript, root).ceremony !== undefined;
  } catch (error) {
    // Not its own: whatever it tells is of no worth.
    if (asGigvaultError(error).code === 'INVALID_ARGUMENT') return false;
    throw error;
  }
}

function ceremonyChecks(
  directory: string,
  record: TranscriptRecord,
  ceremony: CeremonyFacts,
  known: Known,
  root: Buffer,
): Check[] {
  return [
    kindOf(ceremony, known),
    ...Object.entries(ceremony.files).map(([file, sum]) =>
      check(`sum of ${file}`, () => sumProblem(directory, file, sum, root)),
    ),
    ...KINDS.filter((kind) => existsSync(join(directory, REQUEST_FILES[kind]))).map((kind) =>
      requestCheck(directory, record, kind),
    ),
    ...unknownFiles(directory, ceremony),
    check('shares', () => shareProblem(directory, record, ceremony)),
    ...programChecks(record, ceremony, known),
    ...ceremony.room
      .filter(({ accepted }) => accepted !== undefined)
      .map(({ what, found, accepted }) => ({
        what: `room: ${what}`,
        problem: undefined,
        note: `${found}. Accepted: ${accepted}`,
      })),
  ];
}

/** Whoever makes a root makes a transcript that fits: only what people hold tells theirs from another one of the same plan. */
function fingerprintCheck(root: Buffer, given: string | undefined): Check {
  const what = 'fingerprint';
  if (given === undefined) {
    const lines = fingerprintLines(root).map((line) => line.trim());
    const note = `not compared with what was written down: see that it is this one, or give it with --fingerprint. ${lines.join(' ')}`;
    return { what, problem: undefined, note };
  }
  const isSame = readFingerprint(given) === hash('sha256', root);
  const problem = isSame ? undefined : 'is not the one that was given: this is another root';
  return { what, problem };
}

/** The root's may have another name, or lie deeper: whoever copies the whole of a root's directory brings it along. */
function keyCheck(directory: string): Check {
  const what = 'no root key';
  const { found, unseen } = searchPrivateKeys(directory);
  if (found.length > 0) {
    return { what, problem: found.map(keyProblem).join('; ') };
  }
  if (unseen.length === 0) return { what, problem: undefined };
  return { what, problem: undefined, note: `not looked into: ${shortList(unseen)}` };
}

function keyProblem(file: string): string {
  const is = basename(file) === ROOT_FILES.key ? 'is here' : 'holds a private key';
  return `${file} ${is}: it must never leave the offline machine`;
}

/** As `a, b and 3 more`. */
function shortList(names: readonly string[]): string {
  const more = names.length - MOST_NAMES;
  return names.slice(0, MOST_NAMES).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function kindOf({ isRehearsal }: CeremonyFacts, known: Known): Check {
  if (isRehearsal === (known.isRehearsal ?? false)) {
    return isRehearsal
      ? { what: 'rehearsal', problem: undefined, note: 'of no use outside of it' }
      : { what: 'no rehearsal', problem: undefined };
  }
  return isRehearsal
    ? { what: 'no rehearsal', problem: 'is one: nothing of it may be used' }
    : { what: 'rehearsal', problem: 'is none: this is a real root' };
}

/** Of the file that has travelled; a rehearsal has requests of its own. The transcript has the sum of what is in the PEM block. */
function requestCheck(
  directory: string,
  { steps, ceremony }: TranscriptRecord,
  kind: (typeof KINDS)[number],
): Check {
  const file = REQUEST_FILES[kind];
  if (ceremony?.isRehearsal)
    return { what: file, problem: undefined, note: 'not compared: a rehearsal signs others' };
  let note: string | undefined;
  const found = check(file, () => {
    const text = readText(join(directory, file));
    const label = 'CERTIFICATE REQUEST';
    const [der] = fromPem(text, label) as [Buffer];
    const step = steps.findLast((each) => each.step === requestStep(kind));
    if (step?.sha256 !== hash('sha256', der)) return 'is not the request that was signed';
    if (text !== toPem(label, der)) note = 'is the request that was signed, in a changed file';
    return undefined;
  });
  return note === undefined ? found : { ...found, note };
}

/** Certificates, CRLs and transcripts have lines of their own. */
function unknownFiles(directory: string, { files }: CeremonyFacts): Check[] {
  const known = new Set<string>([...Object.keys(files), ...Object.values(REQUEST_FILES)]);
  const unknown = readdirSync(directory).filter(
    (file) => !known.has(file) && !/\.(crt|crl)$|transcript\.json$/.test(file),
  );
  if (unknown.length === 0) return [];
  const note = `the transcript does not know: ${shortList(unknown.sort())}`;
  return [{ what: 'other files', problem: undefined, note }];
}

/** A CRL that was issued since has a transcript of its own. */
function sumProblem(
  directory: string,
  file: string,
  sum: string,
  root: Buffer,
): string | undefined {
  const path = join(directory, file);
  if (!existsSync(path)) return 'is missing';
  if (hash('sha256', readText(path)) === sum) return undefined;
  const isLater = file === HIERARCHY_FILES.rootCrl && isLaterCrl(directory, root);
  return isLater ? undefined : 'was changed after the ceremony';
}

function isLaterCrl(directory: string, root: Buffer): boolean {
  const der = readPem(join(directory, HIERARCHY_FILES.rootCrl), 'X509 CRL');
  const sum = hash('sha256', der);
  const begins = `${HIERARCHY_FILES.rootCrl}.`;
  return readdirSync(directory)
    .filter((file) => file.startsWith(begins) && file.endsWith(transcriptOf('')))
    .some((file) =>
      verifyTranscript(readText(join(directory, file)), root).steps.some(
        ({ sha256 }) => sha256 === sum,
      ),
    );
}

/** Everybody whom the plan names must have read a share back of the set with which the key was locked. */
function shareProblem(
  directory: string,
  { steps }: TranscriptRecord,
  { custody }: CeremonyFacts,
): string | undefined {
  const planned = parsePlan(readText(join(directory, ROOT_FILES.plan))).custody;
  if (planned !== undefined && !isSameCustody(planned, custody)) {
    return 'are not held by those whom the plan names';
  }
  const set = hash('sha256', custody.setId);
  const told = new Set(steps.filter(({ sha256 }) => sha256 === set).map(({ step }) => step));
  const missing = custody.holders.filter(
    ({ name }, i) => !told.has(readBackStep(i + 1, custody.holders.length, name)),
  );
  if (missing.length > 0)
    return `were not read back by ${missing.map(({ name }) => name).join(', ')}`;
  return told.has(LOCKED_STEP) ? undefined : 'do not lock the key';
}

function isSameCustody(planned: Custody, held: CeremonyFacts['custody']): boolean {
  const names = held.holders.map(({ name }) => name);
  return (
    planned.threshold === held.threshold &&
    planned.holders.length === names.length &&
    planned.holders.every((name, i) => name === names[i])
  );
}

function programChecks(
  { program }: TranscriptRecord,
  { room }: CeremonyFacts,
  { programSha256 }: Known,
): Check[] {
  const found = new Set(room.filter(({ what }) => what === 'program').map((item) => item.found));
  const sums = [...found].map((text) => text.split(' ').at(-1));
  const what = 'program';
  if (newer(program.version, VERSION)) {
    const problem = `is rootca ${program.version}, this is ${VERSION}: verify with that one`;
    return [{ what, problem }];
  }
  if (found.size === 0) return [{ what, problem: 'the transcript does not say which it was' }];
  if (programSha256 !== undefined && sums.some((sum) => sum !== programSha256.toLowerCase())) {
    return [{ what, problem: 'is not the one that was given' }];
  }
  return [{ what, problem: undefined, note: [...found].join('; ') }];
}

function newer(version: string, than: string): boolean {
  return version.localeCompare(than, 'en', { numeric: true }) > 0;
}
