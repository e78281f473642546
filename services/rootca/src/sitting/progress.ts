import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Clock } from '@gigvault/time/clock';
import { z } from 'zod';
import type { Root } from '../ceremony/root.ts';
import { type CeremonyFacts, startTranscript, stepSchema } from '../ceremony/transcript.ts';
import { custodyRecordSchema } from '../custody/custody-record.ts';
import type { CeremonyFiles } from '../ports/ceremony-files.ts';
import { roomFindingSchema } from '../room/check-room.ts';

/** Where a ceremony stands, in the root's directory while it lasts. */
export const PROGRESS_FILE = 'ceremony.json';

const progressSchema = z.strictObject({
  version: z.literal(1),
  planSha256: z.string(),
  isRehearsal: z.boolean(),
  /** The keeper's file. */
  keptIn: z.string(),
  /** Holders and threshold, canonical JSON. */
  agreed: z.string(),
  /**
   * `begun`: there is no root, or one that is of no use. `keyed`: root and shares are made, and not everybody has read a share back. `held`: the key opens with
   * the shares only. `signed`: certificates and CRL are on the disk. `bundled`: the transcript is signed, the key was used for the last time.
   */
  stage: z.enum(['begun', 'keyed', 'held', 'signed', 'bundled']),
  steps: z.array(stepSchema),
  room: z.array(roomFindingSchema),
  custody: custodyRecordSchema.optional(),
  /** Indexes of the shares that were read back. */
  confirmed: z.array(z.number().int()),
  /** All shares, under the secret; only while `keyed`. */
  sealedShares: z.string().optional(),
});

/** What is remembered of a ceremony. Nothing of it is secret but under the secret that the shares are of. */
export type Progress = z.infer<typeof progressSchema>;

/** A ceremony's progress and transcript; both are on the disk after each `save`. */
export interface Ledger {
  readonly progress: Progress;
  /** True when an earlier process began it. */
  readonly isResumed: boolean;
  /** Notes a step for the transcript: durable with the next `save`. */
  note(step: string, made: Uint8Array | string): void;
  hasNoted(step: string): boolean;
  save(change?: Partial<Progress>): Promise<void>;
  /** Signs the transcript. */
  sign(root: Root, facts: CeremonyFacts): Promise<string>;
  /** It is over: nothing is remembered. */
  close(): Promise<void>;
}

/** What a ceremony must have in common with the one that it goes on with. */
export type Identity = Pick<Progress, 'planSha256' | 'isRehearsal' | 'keptIn' | 'agreed'>;

/** The ceremony of this folder, or a new one. Errors: INVALID_ARGUMENT when another one was begun here. */
export function openLedger(files: CeremonyFiles, identity: Identity, clock: Clock): Ledger {
  const text = files.read(PROGRESS_FILE);
  let progress: Progress =
    text === undefined
      ? { version: 1, ...identity, stage: 'begun', steps: [], room: [], confirmed: [] }
      : readProgress(text);
  requireSame(progress, identity);
  const transcript = startTranscript(clock, progress.steps);
  return {
    get progress() {
      return progress;
    },
    isResumed: text !== undefined,
    note: (step, made) => transcript.note(step, made),
    hasNoted: (step) => transcript.steps.some((noted) => noted.step === step),
    async save(change = {}) {
      const next = { ...progress, ...change, steps: [...transcript.steps] };
      await files.write(PROGRESS_FILE, `${JSON.stringify(next, undefined, 2)}\n`, 0o600);
      progress = next;
    },
    sign: (root, facts) => transcript.sign(root, facts),
    close: () => files.remove(PROGRESS_FILE),
  };
}

function requireSame(progress: Progress, identity: Identity): void {
  const same = (Object.keys(identity) as (keyof Identity)[]).every(
    (name) => progress[name] === identity[name],
  );
  if (same) return;
  throw new GigvaultError(
    'INVALID_ARGUMENT',
    'Another ceremony was begun in this folder: of another plan, with other holders, a rehearsal or not one, or with the key elsewhere. Go on with that one, or take another folder.',
  );
}

function readProgress(text: string): Progress {
  try {
    return progressSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `${PROGRESS_FILE} does not tell of a ceremony. Take another folder.`,
      { cause },
    );
  }
}
