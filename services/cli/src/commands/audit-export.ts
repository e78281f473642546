import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { ExportedLeaf } from '@gigvault/merkle/verify-log';
import { CliFailure, whyUnreadable } from '../failure.ts';

/** A signed tree head with the key that it claims. */
export interface SignedCheckpoint {
  /** C2SP signed note. */
  readonly note: string;
  /** SubjectPublicKeyInfo, DER in base64. */
  readonly publicKey: string;
}

/** A log as it is read: the checkpoint, then the leaves in order. */
export interface LogSource {
  readonly checkpoint: SignedCheckpoint;
  readonly leaves: AsyncIterable<ExportedLeaf>;
}

interface LeafLine {
  readonly leafIndex: number;
  readonly leaf: string;
  readonly leafHash?: string;
}

/** The leaf of a JSON object whose octets are base64: an entry of the API and a line of an export look the same. */
export function leafOf({ leafIndex, leaf, leafHash }: LeafLine): ExportedLeaf {
  const hash = leafHash === undefined ? {} : { leafHash: Buffer.from(leafHash, 'base64') };
  return { leafIndex, leaf: Buffer.from(leaf, 'base64'), ...hash };
}

/** Opens an export: NDJSON, the checkpoint in the first line, one leaf in each other. Fails when it is not one. */
export async function openExport(path: string): Promise<LogSource> {
  const file = await open(path).catch((cause: NodeJS.ErrnoException) => {
    throw new CliFailure(`cannot read ${path}: ${whyUnreadable(cause)}`, {
      code: 'INVALID_ARGUMENT',
      cause,
    });
  });
  await file.close();
  const lines = createInterface({
    input: createReadStream(path, 'utf8'),
    crlfDelay: Number.POSITIVE_INFINITY,
  })[Symbol.asyncIterator]();
  const first = await lines.next();
  const checkpoint = parseLine<SignedCheckpoint>(path, first.value ?? '');
  if (typeof checkpoint.note !== 'string' || typeof checkpoint.publicKey !== 'string')
    throw notAnExport(path);
  return { checkpoint, leaves: leavesOf(path, lines) };
}

/** Passes leaves on and writes each to the export. */
export async function* exporting(
  file: FileHandle,
  source: LogSource,
): AsyncGenerator<ExportedLeaf> {
  await file.appendFile(`${JSON.stringify(source.checkpoint)}\n`);
  for await (const leaf of source.leaves) {
    await file.appendFile(`${JSON.stringify(lineOf(leaf))}\n`);
    yield leaf;
  }
}

async function* leavesOf(path: string, lines: AsyncIterator<string>): AsyncGenerator<ExportedLeaf> {
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    const parsed = parseLine<LeafLine>(path, line.value);
    if (typeof parsed.leafIndex !== 'number' || typeof parsed.leaf !== 'string')
      throw notAnExport(path);
    yield leafOf(parsed);
  }
}

function lineOf({ leafIndex, leaf, leafHash }: ExportedLeaf): LeafLine {
  return {
    leafIndex,
    leaf: leaf.toString('base64'),
    ...(leafHash ? { leafHash: leafHash.toString('base64') } : {}),
  };
}

function parseLine<T>(path: string, line: string): T {
  try {
    return JSON.parse(line) as T;
  } catch {
    throw notAnExport(path);
  }
}

function notAnExport(path: string): CliFailure {
  return new CliFailure(`${path} is not an exported audit log`, {
    code: 'INVALID_ARGUMENT',
    tries: [{ command: 'gigvault audit verify --export audit.ndjson', note: 'makes one' }],
  });
}
