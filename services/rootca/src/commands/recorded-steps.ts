import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT_FILES } from '../ceremony/root-files.ts';
import { type TranscriptRecord, verifyTranscript } from '../ceremony/transcript.ts';
import { readText } from './root-directory.ts';

/** One step of a transcript. */
export type RecordedStep = TranscriptRecord['steps'][number];

/** The transcripts' names in a directory, sorted. */
export function transcriptFiles(directory: string): string[] {
  return readdirSync(directory)
    .filter((file) => file.endsWith(ROOT_FILES.transcript))
    .sort();
}

/** What the root's transcripts in a directory tell. Errors: INVALID_ARGUMENT for one that this root did not sign. */
export function recordedSteps(directory: string, rootCertificate: Buffer): RecordedStep[] {
  return transcriptFiles(directory).flatMap(
    (file) => verifyTranscript(readText(join(directory, file)), rootCertificate).steps,
  );
}

/** How a transcript tells of a CRL after the first. */
export function crlStep(crlNumber: bigint): string {
  return `issued root CRL ${crlNumber}`;
}

/** The greatest CRL number that these steps tell of; the first CRL's, 1, when none does. */
export function newestCrlNumber(steps: readonly RecordedStep[]): bigint {
  const numbers = steps.flatMap(({ step }) => /^issued root CRL (\d+)$/.exec(step)?.[1] ?? []);
  return BigInt(Math.max(1, ...numbers.map(Number)));
}
