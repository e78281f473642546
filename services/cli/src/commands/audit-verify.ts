import type { FileHandle } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { CheckpointNote } from '@gigvault/merkle/checkpoint';
import { type ExportedLeaf, type LogReport, verifyLog } from '@gigvault/merkle/verify-log';
import { configFolder } from '../context/contexts-file.ts';
import { rememberLog } from '../context/known-logs.ts';
import { chosenContext } from '../context/selected-context.ts';
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
import { FAILED, type Pin, parsedNote, pinOf, signedNote } from './audit-pin.ts';
import { draftOutput, refuseExisting } from './files.ts';

const PAGE = 1000;
const MOST_FACTS = 20;
const ELSEWHERE = { command: 'gigvault audit verify --export <file>', note: 'another file' };

/**
 * Recomputes the tree of the whole log and compares it with what was signed now and with what this machine saw the last
 * time. With `--from` it asks no server, and needs no context. Exit 10 when anything differs.
 */
export const auditVerify: Action = async (session, _args, options) => {
  const from = textOption(options, 'from');
  const source = from
    ? await openExport(resolve(session.terminal.cwd, from))
    : await downloaded(await session.api());
  const { context } = from
    ? await chosenContext(session.terminal, session.options)
    : { context: await session.context() };
  const pin = await pinOf(session, context, source.checkpoint, options);
  const head = signedHead(source.checkpoint, pin);
  const report = await verified(session, source, headsOf(head, pin, from !== undefined), options);
  if (report.findings.length > 0) throw notVerified(report);
  await remember(session, { head, pin, source, ...(from ? {} : { server: context?.server }) });
  await show(session, head, pin, source.checkpoint);
};

async function downloaded(api: ApiClient): Promise<LogSource> {
  const checkpoint = await api.get<SignedCheckpoint>('/audit/checkpoint');
  const { note, publicKey } = checkpoint;
  return { checkpoint: { note, publicKey }, leaves: download(api, parsedNote(note).size) };
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

function signedHead({ note }: SignedCheckpoint, pin: Pin): CheckpointNote {
  const origin = pin.previous?.origin ?? pin.given?.origin ?? parsedNote(note).origin;
  return signedNote(note, pin.publicKey, origin, [
    { command: '--public-key <file>', note: 'when it is the log of another GigVault' },
  ]);
}

/** An older export is verified for itself: what was seen since says nothing about its end. What was given must be in it. */
function headsOf(
  head: CheckpointNote,
  { previous, given }: Pin,
  isExport: boolean,
): CheckpointNote[] {
  const counts = previous && !(isExport && previous.size > head.size);
  return [...(counts ? [previous] : []), ...(given ? [given] : []), head];
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
  await refuseExisting([path], force, ELSEWHERE);
  let report: LogReport | undefined;
  const write = async (file: FileHandle) => {
    report = await verifyLog(exporting(file, source), heads);
  };
  // Also when the log is broken: then it is evidence.
  await (await draftOutput(path, write, 0o600, force)).publish();
  return report as LogReport;
}

/** Nothing is remembered of an export that nothing pins: anybody may have made it. */
async function remember(
  { terminal }: Session,
  seen: {
    readonly head: CheckpointNote;
    readonly pin: Pin;
    readonly source: LogSource;
    readonly server?: string | undefined;
  },
): Promise<void> {
  const { previous, pinned, publicKey } = seen.pin;
  if (!pinned && seen.server === undefined) return;
  if (previous && seen.head.size < previous.size) return;
  await rememberLog(configFolder(terminal), {
    publicKey,
    checkpoint: seen.source.checkpoint.note,
    ...(seen.server === undefined ? {} : { server: seen.server }),
  });
}

async function show(
  session: Session,
  head: CheckpointNote,
  { previous, pinned, publicKey }: Pin,
  { note }: SignedCheckpoint,
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
      pinned,
      checkpoint: note,
    },
    names: [String(head.size)],
    text: ({ ok, green }) =>
      [
        `${green(ok)} ${head.size} entries give the signed root`,
        `  log         ${head.origin}`,
        `  root        ${root}`,
        `  signature   by ${pinned ? 'the pinned key' : 'a key that nothing pinned before'}`,
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
