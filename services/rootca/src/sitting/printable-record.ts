import { readCertificate } from '@gigvault/x509/certificate';
import { readCertList } from '@gigvault/x509/crl';
import { formatName } from '@gigvault/x509/name';
import { fromPem } from '@gigvault/x509/pem';
import { fingerprintLines } from '../ceremony/fingerprint.ts';
import { HIERARCHY_FILES } from '../ceremony/root-files.ts';
import type { CeremonyFacts, TranscriptRecord } from '../ceremony/transcript.ts';
import { type Plan, planHash } from '../plan/plan.ts';
import { wrapped } from '../text/wrapped.ts';
import { VERSION } from '../version.ts';

/** What a record tells. */
export interface RecordFacts extends Omit<CeremonyFacts, 'files'> {
  readonly plan: Plan;
  readonly steps: TranscriptRecord['steps'];
  /** PEM, by file name. */
  readonly contents: Readonly<Record<string, string>>;
}

/** The ceremony on paper, for people to sign: text of at most 78 columns. Nothing in it is secret. */
export function printableRecord(facts: RecordFacts): string {
  const { plan, custody, isRehearsal, room, steps } = facts;
  const title = isRehearsal ? 'RECORD OF A REHEARSAL: OF NO USE' : 'RECORD OF A KEY CEREMONY';
  const lines = [
    title,
    '='.repeat(title.length),
    '',
    `program  rootca ${VERSION}`,
    `plan     ${planHash(plan)}`,
    '',
    'Root certificate',
    ...certificateLines(facts, 'root'),
    ...fingerprintLines(der(facts, HIERARCHY_FILES.root, 'CERTIFICATE')),
    '',
    'Issuing CA',
    ...certificateLines(facts, 'issuing'),
    '',
    'Services CA',
    ...certificateLines(facts, 'services'),
    '',
    'Root CRL',
    ...crlLines(facts),
    '',
    `Holders: ${custody.threshold} of ${custody.holders.length}, set ${custody.setId}`,
    ...custody.holders.map(({ name }, i) => `  ${String(i + 1).padStart(2)}  ${name}`),
    '',
    'The room',
    ...room.flatMap(({ what, found, accepted }) => [
      ...wrapped(`  ${what.padEnd(9)}`, found),
      ...(accepted === undefined ? [] : wrapped('    ACCEPTED: ', accepted)),
    ]),
    '',
    'Steps',
    ...steps.flatMap(({ step, at, sha256 }) => [...wrapped(`  ${at}  `, step), `    ${sha256}`]),
    '',
    'Seen by',
    ...[...custody.holders.map(({ name }) => name), 'Witness', 'Witness'].flatMap((name) => [
      '',
      `  ${'_'.repeat(24)}  ${'_'.repeat(8)}  ${name}`,
    ]),
    '',
  ];
  return lines.join('\n');
}

function certificateLines(facts: RecordFacts, part: 'root' | 'issuing' | 'services'): string[] {
  const certificate = readCertificate(der(facts, HIERARCHY_FILES[part], 'CERTIFICATE'));
  const { subject, serialNumber, notBefore, notAfter, publicKey } = certificate;
  return [
    ...wrapped('  name     ', formatName(subject)),
    `  serial   ${serialNumber}`,
    `  valid    ${day(notBefore)} to ${day(notAfter)}`,
    `  key      ${publicKey.keyType} ${publicKey.keyIdentifier.toString('hex')}`,
  ];
}

function crlLines(facts: RecordFacts): string[] {
  const list = readCertList(der(facts, HIERARCHY_FILES.rootCrl, 'X509 CRL'));
  return [
    `  number   ${list.crlNumber}`,
    `  valid    ${day(list.thisUpdate)} to ${day(list.nextUpdate)}`,
  ];
}

function der({ contents }: RecordFacts, name: string, label: string): Buffer {
  return fromPem(contents[name] as string, label)[0] as Buffer;
}

function day(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19)}Z`;
}
