import { createPublicKey } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import {
  type CheckpointNote,
  parseCheckpoint,
  verifyCheckpoint,
} from '@gigvault/merkle/checkpoint';
import { type Context, configFolder } from '../context/contexts-file.ts';
import { type KnownLog, readKnownLogs } from '../context/known-logs.ts';
import { CliFailure, type Try, usage } from '../failure.ts';
import { type CommandOptions, textOption } from '../program/command-spec.ts';
import type { Session } from '../session.ts';
import type { SignedCheckpoint } from './audit-export.ts';
import { readInput } from './files.ts';

/** How every failed check of the log looks. */
export const FAILED = { shownCode: 'GV-AUDIT-NOT-VERIFIED', exitCode: 10 };

/** What a log is measured against, beside its own checkpoint. */
export interface Pin {
  /** The key that must have signed: SubjectPublicKeyInfo, DER in base64. */
  readonly publicKey: string;
  /** False when only the log itself says that this is its key. */
  readonly pinned: boolean;
  /** What was verified on this machine the last time, whoever did it. */
  readonly previous?: CheckpointNote;
  /** Of `--checkpoint`. */
  readonly given?: CheckpointNote;
}

/**
 * The key is the one of `--public-key` or of the file of `--checkpoint`, else the context's, else the one that this machine met at the context's server. A key that none of
 * these name is trusted from now on when a server has it; of an export it is only told that nothing pins it.
 */
export async function pinOf(
  session: Session,
  context: Context | undefined,
  found: SignedCheckpoint,
  options: CommandOptions,
): Promise<Pin> {
  const known = await readKnownLogs(configFolder(session.terminal));
  const wanted = (await publicKeyOption(session, options)) ?? keyOf(context, known);
  const publicKey = wanted ?? found.publicKey;
  const log = known.find((each) => each.publicKey === publicKey);
  const given = await checkpointOption(session, options, publicKey);
  const pin = {
    publicKey,
    pinned: wanted !== undefined || log !== undefined,
    ...(log ? { previous: parsedNote(log.checkpoint) } : {}),
    ...(given ? { given } : {}),
  };
  tell(session, context, known, pin, textOption(options, 'from') !== undefined);
  return pin;
}

/** A note without its signature verified. Throws the failure of this command. */
export function parsedNote(note: string): CheckpointNote {
  try {
    return parseCheckpoint(note);
  } catch (cause) {
    throw new CliFailure('the checkpoint cannot be read', { ...FAILED, cause });
  }
}

/** A note that this key signed, of this log. Throws the failure of this command. */
export function signedNote(
  note: string,
  publicKey: string,
  origin: string,
  tries: readonly Try[] = [],
): CheckpointNote {
  try {
    return verifyCheckpoint(note, Buffer.from(publicKey, 'base64'), origin);
  } catch (cause) {
    if (!(cause instanceof GigvaultError)) throw cause;
    const facts = [{ subject: 'checkpoint', text: cause.message }];
    const message = "the checkpoint is not signed by the audit log's key";
    throw new CliFailure(message, { ...FAILED, facts, tries, cause });
  }
}

/** The key that is known without looking at the log. */
export function keyOf(
  context: Context | undefined,
  known: readonly KnownLog[],
): string | undefined {
  if (!context) return undefined;
  return context.auditPublicKey ?? known.find(({ server }) => server === context.server)?.publicKey;
}

function tell(
  { output }: Session,
  context: Context | undefined,
  known: readonly KnownLog[],
  { pinned, publicKey, previous, given }: Pin,
  isExport: boolean,
): void {
  const warn = (text: string) => output.notice(`${output.noticeStyle.warn} ${text}`);
  if (!pinned && isExport) {
    warn('nothing pins the key of this log: who made the file may have made the key as well');
    if (given) warn(`only the first ${given.size} entries are known to be those of --checkpoint`);
    else output.notice('  pin it with --public-key <file>, and its past with --checkpoint <file>');
  } else if (!pinned) {
    warn(`the audit key was not known here: it is trusted from now on (${context?.server})`);
  } else if (!previous && known.some((log) => log.server === context?.server)) {
    const other = publicKey.slice(-12);
    warn(`this server had another audit key the last time: a new log starts here (key …${other})`);
  }
}

/** PEM, base64, or the JSON that `audit verify -o json` and `GET /audit/checkpoint` answer. */
async function publicKeyOption(
  session: Session,
  options: CommandOptions,
): Promise<string | undefined> {
  const path = textOption(options, 'publicKey');
  if (path === undefined) return keyBesideCheckpoint(session, options);
  const text = (await readInput(session.terminal, path)).trim();
  const told = textOf(membersOf(text)['publicKey']) ?? text;
  try {
    const key = told.startsWith('-----BEGIN')
      ? createPublicKey(told)
      : createPublicKey({ key: Buffer.from(told, 'base64'), format: 'der', type: 'spki' });
    return key.export({ format: 'der', type: 'spki' }).toString('base64');
  } catch {
    throw usage(`${path} holds no public key in PEM or base64.`, {
      command: 'gigvault audit verify -o json > seen.json',
      note: 'key and checkpoint of a log that is verified now',
    });
  }
}

async function keyBesideCheckpoint(
  session: Session,
  options: CommandOptions,
): Promise<string | undefined> {
  const path = textOption(options, 'checkpoint');
  if (path === undefined) return undefined;
  const told = membersOf(await readInput(session.terminal, path));
  // What nothing pinned then pins nothing now.
  return told['pinned'] === false ? undefined : textOf(told['publicKey']);
}

/** A signed note, or the JSON that `audit verify -o json` and `GET /audit/checkpoint` answer. */
async function checkpointOption(
  session: Session,
  options: CommandOptions,
  publicKey: string,
): Promise<CheckpointNote | undefined> {
  const path = textOption(options, 'checkpoint');
  if (path === undefined) return undefined;
  const text = await readInput(session.terminal, path);
  const told = membersOf(text);
  const note = textOf(told['checkpoint']) ?? textOf(told['note']) ?? text;
  try {
    parseCheckpoint(note);
  } catch {
    throw usage(`${path} holds no signed checkpoint.`, {
      command: 'gigvault audit verify -o json > seen.json',
      note: 'key and checkpoint of a log that is verified now',
    });
  }
  return signedNote(note, publicKey, parsedNote(note).origin);
}

/** Of a JSON object; none of any other text. */
function membersOf(text: string): Readonly<Record<string, unknown>> {
  try {
    return { ...(JSON.parse(text) as object) };
  } catch {
    return {};
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
