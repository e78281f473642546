import { type FileHandle, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import {
  type CheckpointNote,
  parseCheckpoint,
  verifyCheckpoint,
} from '@gigvault/merkle/checkpoint';
import { type ExportedLeaf, type LogReport, verifyLog } from '@gigvault/merkle/verify-log';
import {
  configFolder,
  readContexts,
  writeContexts,
  writePrivateFile,
} from '../context/contexts-file.ts';
import type { SelectedContext } from '../context/selected-context.ts';
import { CliFailure } from '../failure.ts';
import { type Action, type CommandOptions, textOption } from '../program/command-spec.ts';
import type { ApiClient } from '../server/api-client.ts';
import type { Session } from '../session.ts';
import {
  exporting,
  type LogSource,
  leafOf,
  openExport,
  type SignedCheckpoint,
} from './audit-export.ts';
import { draftOutput, refuseExisting } from './files.ts';

const PAGE = 1000;
const MOST_FACTS = 20;
const STATE_FILE = 'audit-checkpoint';
const FAILED = { shownCode: 'GV-AUDIT-NOT-VERIFIED', exitCode: 10 };

/**
 * Recomputes the tree of the whole log and compares it with what was signed now and with what this machine saw the last
 * time. The key is the one that the context pins. Exit 10 when anything differs.
 */
export const auditVerify: Action = async (session, _args, options) => {
  const context = await session.context();
  const from = textOption(options, 'from');
  const source = from
    ? await openExport(resolve(session.terminal.cwd, from))
    : await downloaded(await session.api());
  const key = pinnedKey(session, context, source.checkpoint);
  const previous = await lastCheckpoint(session, context, key);
  const head = signedHead(source.checkpoint, key, previous);
  // An older export is verified for itself: the head of today says nothing about its end.
  const earlier = previous && !(from && previous.size > head.size) ? [previous] : [];
  const report = await verified(session, source, [...earlier, head], options);
  if (report.findings.length > 0) throw notVerified(report);
  if (!previous || head.size >= previous.size) await remember(session, context, source.checkpoint);
  await show(session, head, previous, source.checkpoint);
};

async function downloaded(api: ApiClient): Promise<LogSource> {
  const checkpoint = await api.get<SignedCheckpoint>('/audit/checkpoint');
  const { note, publicKey } = checkpoint;
  return { checkpoint: { note, publicKey }, leaves: download(api, parsed(note).size) };
}

async function* download(api: ApiClient, size: number): AsyncGenerator<ExportedLeaf> {
  for (let start = 0; start < size; ) {
    const limit = Math.min(PAGE, size - start);
    const { items } = await api.get<{ items: Parameters<typeof leafOf>[0][] }>(
      `/audit/entries?start=${start}&limit=${limit}`,
    );
    // A log that ends early is a finding, not an endless loop.
    if (items.length === 0) return;
    yield* items.slice(0, limit).map(leafOf);
    start += items.length;
  }
}

function parsed(note: string): CheckpointNote {
  try {
    return parseCheckpoint(note);
  } catch (cause) {
    throw new CliFailure('the checkpoint cannot be read', { ...FAILED, cause });
  }
}

/** The key that checkpoints must be signed by. What is not pinned yet is trusted this once, and says so. */
function pinnedKey(
  session: Session,
  context: SelectedContext,
  { publicKey }: SignedCheckpoint,
): string {
  if (context.auditPublicKey) return context.auditPublicKey;
  const { output } = session;
  output.notice(
    `${output.noticeStyle.warn} the audit key was not known here: it is trusted from now on (context ${context.name})`,
  );
  return publicKey;
}

function signedHead(
  { note }: SignedCheckpoint,
  publicKey: string,
  previous: CheckpointNote | undefined,
): CheckpointNote {
  try {
    return verifyCheckpoint(
      note,
      Buffer.from(publicKey, 'base64'),
      previous?.origin ?? parsed(note).origin,
    );
  } catch (cause) {
    if (!(cause instanceof GigvaultError)) throw cause;
    const facts = [{ subject: 'checkpoint', text: cause.message }];
    throw new CliFailure("the checkpoint is not signed by the audit log's key", {
      ...FAILED,
      facts,
      cause,
    });
  }
}

async function verified(
  session: Session,
  source: LogSource,
  heads: readonly CheckpointNote[],
  options: CommandOptions,
): Promise<LogReport> {
  const exportPath = textOption(options, 'export');
  if (!exportPath) return verifyLog(source.leaves, heads);
  const path = resolve(session.terminal.cwd, exportPath);
  const force = options['force'] === true;
  await refuseExisting([path], force);
  let report: LogReport | undefined;
  const write = async (file: FileHandle) => {
    report = await verifyLog(exporting(file, source), heads);
  };
  // Also when the log is broken: then it is evidence.
  await (await draftOutput(path, write, 0o600, force)).publish();
  return report as LogReport;
}

/** What this machine verified last; nothing when that was signed by another key: `up` made a new PKI since. */
async function lastCheckpoint(
  { output }: Session,
  { folder }: SelectedContext,
  publicKey: string,
): Promise<CheckpointNote | undefined> {
  const path = join(folder, STATE_FILE);
  const note = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (note === undefined) return undefined;
  const previous = parsed(note);
  if (isSignedBy(previous, note, publicKey)) return previous;
  output.notice(
    `${output.noticeStyle.warn} the context has another audit key than the last time: a new log starts here`,
  );
  return undefined;
}

function isSignedBy({ origin }: CheckpointNote, note: string, publicKey: string): boolean {
  try {
    verifyCheckpoint(note, Buffer.from(publicKey, 'base64'), origin);
    return true;
  } catch (error) {
    if (error instanceof GigvaultError) return false;
    throw error;
  }
}

async function remember(
  session: Session,
  context: SelectedContext,
  checkpoint: SignedCheckpoint,
): Promise<void> {
  await writePrivateFile(join(context.folder, STATE_FILE), checkpoint.note);
  const folder = configFolder(session.terminal);
  const file = await readContexts(folder);
  const stored = Object.hasOwn(file.contexts, context.name)
    ? file.contexts[context.name]
    : undefined;
  if (!stored || stored.auditPublicKey || stored.server !== context.server) return;
  const pinned = { ...stored, auditPublicKey: checkpoint.publicKey };
  await writeContexts(folder, { ...file, contexts: { ...file.contexts, [context.name]: pinned } });
}

async function show(
  session: Session,
  head: CheckpointNote,
  previous: CheckpointNote | undefined,
  { publicKey }: SignedCheckpoint,
): Promise<void> {
  const root = head.root.toString('base64');
  await session.output.result({
    data: {
      ok: true,
      origin: head.origin,
      treeSize: head.size,
      rootHash: root,
      previousTreeSize: previous?.size ?? null,
      publicKey,
    },
    names: [String(head.size)],
    text: ({ ok, green }) =>
      [
        `${green(ok)} ${head.size} entries give the signed root`,
        `  log         ${head.origin}`,
        `  root        ${root}`,
        `  signature   by the pinned key`,
        `  since last  ${sinceLast(head, previous)}`,
        '',
      ].join('\n'),
  });
}

function sinceLast(head: CheckpointNote, previous: CheckpointNote | undefined): string {
  if (!previous) return 'first time on this machine';
  return previous.size <= head.size
    ? `nothing changed in the first ${previous.size}, ${head.size - previous.size} new`
    : `older than what was verified here before (${previous.size})`;
}

function notVerified({ findings }: LogReport): CliFailure {
  const facts = findings
    .slice(0, MOST_FACTS)
    .map(({ problem, message }) => ({ subject: problem, text: message }));
  const rest = findings.length - facts.length;
  return new CliFailure('the audit log was changed', {
    ...FAILED,
    facts: rest > 0 ? [...facts, { subject: '', text: `and ${rest} more` }] : facts,
    tries: [
      {
        command: 'gigvault audit verify --export evidence.ndjson',
        note: 'keep the evidence before anything else',
      },
    ],
  });
}
