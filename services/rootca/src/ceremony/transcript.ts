import { hash } from 'node:crypto';
import { canonicalJson } from '@gigvault/canonical-json/canonical-json';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Clock } from '@gigvault/time/clock';
import { readCertificate } from '@gigvault/x509/certificate';
import { signatureAlgorithm, verifySignature } from '@gigvault/x509/signature';
import { z } from 'zod';
import { custodyRecordSchema } from '../custody/custody-record.ts';
import { planHash } from '../plan/plan.ts';
import { roomFindingSchema } from '../room/check-room.ts';
import { VERSION } from '../version.ts';
import type { Root } from './root.ts';

/** In front of what is signed, so that it can never be mistaken for a certificate or a CRL. */
const CONTEXT = 'GigVault root ceremony transcript v1\n';

const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/);

/** Schema of a step. */
export const stepSchema = z.strictObject({
  step: z.string(),
  at: z.iso.datetime(),
  sha256: sha256Hex,
});

/** What only the transcript of a key ceremony tells. */
const ceremonySchema = z.strictObject({
  /** True: throw-away keys, of no use. */
  isRehearsal: z.boolean(),
  custody: custodyRecordSchema,
  room: z.array(roomFindingSchema),
  /** SHA-256 of each file of the bundle, hex, but for the transcript itself. */
  files: z.record(z.string(), sha256Hex),
});

const recordSchema = z.strictObject({
  program: z.strictObject({ name: z.literal('rootca'), version: z.string() }),
  planSha256: sha256Hex,
  rootCertificateSha256: sha256Hex,
  steps: z.array(stepSchema),
  ceremony: ceremonySchema.optional(),
});

const transcriptSchema = z.strictObject({ record: recordSchema, signature: z.base64() });

/** What was done, when, and the SHA-256 of what came of it. */
export type TranscriptRecord = z.infer<typeof recordSchema>;

/** What the transcript of a key ceremony tells besides. */
export type CeremonyFacts = z.infer<typeof ceremonySchema>;

/** Takes notes during a ceremony. */
export interface TranscriptWriter {
  /** Notes a step and the bytes that it made. */
  note(step: string, made: Uint8Array | string): void;
  /** What was noted. */
  readonly steps: TranscriptRecord['steps'];
  /** The transcript, JSON, signed by the root's key. */
  sign(root: Root, ceremony?: CeremonyFacts): Promise<string>;
}

/** A transcript that begins with these steps, none by default. */
export function startTranscript(
  clock: Clock,
  earlier: TranscriptRecord['steps'] = [],
): TranscriptWriter {
  const steps = [...earlier];
  return {
    steps,
    note(step, made) {
      steps.push({ step, at: new Date(clock.now()).toISOString(), sha256: sha256(made) });
    },
    async sign({ plan, certificate, key }, ceremony) {
      const record: TranscriptRecord = {
        program: { name: 'rootca', version: VERSION },
        planSha256: planHash(plan),
        rootCertificateSha256: sha256(certificate.der),
        steps,
        ...(ceremony && { ceremony }),
      };
      const signature = (await key.sign(signedBytes(record))).toString('base64');
      const text = `${JSON.stringify({ record, signature }, undefined, 2)}\n`;
      verifyTranscript(text, certificate.der);
      return text;
    },
  };
}

/** The record, if this root signed exactly it. Errors: INVALID_ARGUMENT for anything else. */
export function verifyTranscript(transcript: string, rootCertificate: Buffer): TranscriptRecord {
  const { record, signature } = parse(transcript);
  const { publicKey, der } = readCertificate(rootCertificate);
  const algorithm = signatureAlgorithm(publicKey.keyType);
  const octets = Buffer.from(signature, 'base64');
  if (!verifySignature(publicKey.keyObject, algorithm, signedBytes(record), octets)) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      'The transcript was changed, or another root signed it.',
    );
  }
  if (record.rootCertificateSha256 !== sha256(der)) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      'The transcript is about another certificate of this root.',
    );
  }
  return record;
}

function parse(text: string): z.infer<typeof transcriptSchema> {
  try {
    return transcriptSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new GigvaultError('INVALID_ARGUMENT', 'That is not a transcript.', { cause });
  }
}

function signedBytes(record: TranscriptRecord): Buffer {
  return Buffer.from(CONTEXT + canonicalJson(record));
}

function sha256(octets: Uint8Array | string): string {
  return hash('sha256', octets);
}
