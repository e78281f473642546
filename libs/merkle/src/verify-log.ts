import { decodeLeaf } from './leaf.ts';
import { EMPTY_FRONTIER, extendTree, type Frontier, leafHash, rootOf } from './tree.ts';

/** One leaf as it was exported. */
export interface ExportedLeaf {
  readonly leafIndex: number;
  readonly leaf: Buffer;
  /** The hash that was stored beside the leaf; tells an edited leaf from its neighbours. */
  readonly leafHash?: Buffer;
}

/** A tree head that the verifier trusts: its signature is verified, or it was kept elsewhere. */
export interface TrustedHead {
  readonly size: number;
  readonly root: Buffer;
}

/** What is wrong with a log, and where. */
export interface LogFinding {
  readonly problem:
    | 'edited'
    | 'missing'
    | 'reordered'
    | 'duplicate'
    | 'unreadable'
    | 'truncated'
    | 'root-differs';
  /** The leaf; for `root-differs` the first leaf of the range in which something was changed. */
  readonly leafIndex: number;
  /** For `root-differs`: the end of that range, not included. */
  readonly end?: number;
  readonly message: string;
}

/** What a verification found. The log is sound when `findings` is empty. */
export interface LogReport {
  readonly findings: readonly LogFinding[];
  /** Leaves seen. */
  readonly leaves: number;
  /** The largest trusted size up to which the leaves have the trusted root. */
  readonly verifiedSize: number;
}

/**
 * Verifies exported leaves, in order from index 0, against trusted tree heads. A changed leaf is found at its exact index: by its stored
 * hash, by its producer's positions, which are dense and rise, or by its own number. Somebody who forged all of these as well is found by
 * the roots, in the range between two heads: the more heads were kept elsewhere, the narrower. Memory does not grow with the log.
 */
export async function verifyLog(
  leaves: Iterable<ExportedLeaf> | AsyncIterable<ExportedLeaf>,
  heads: readonly TrustedHead[],
): Promise<LogReport> {
  const findings: LogFinding[] = [];
  const ordered = [...heads].sort((a, b) => a.size - b.size);
  const positions = new Map<string, number>();
  let tree: Frontier = EMPTY_FRONTIER;
  let verifiedSize = 0;

  function compareHeads(): void {
    for (let head = ordered[0]; head && head.size === tree.size; head = ordered[0]) {
      ordered.shift();
      if (head.root.equals(rootOf(tree))) verifiedSize = head.size;
      else findings.push(rootDiffers(verifiedSize, head.size));
    }
  }

  compareHeads();
  for await (const exported of leaves) {
    findings.push(...findingsOf(exported, tree.size, positions));
    tree = extendTree(tree, [leafHash(exported.leaf)]).frontier;
    compareHeads();
  }
  const missing = ordered.at(-1);
  if (missing) {
    const message = `The log ends at ${tree.size} leaves, but a checkpoint has ${missing.size}.`;
    findings.push({ problem: 'truncated', leafIndex: tree.size, message });
  }
  return { findings, leaves: tree.size, verifiedSize };
}

function findingsOf(
  exported: ExportedLeaf,
  expected: number,
  positions: Map<string, number>,
): LogFinding[] {
  const findings: LogFinding[] = [];
  const add = (problem: LogFinding['problem'], leafIndex: number, message: string) =>
    findings.push({ problem, leafIndex, message });
  if (exported.leafIndex > expected) add('missing', expected, `Leaf ${expected} is missing.`);
  if (exported.leafIndex < expected)
    add('reordered', expected, `Leaf ${exported.leafIndex} stands in place ${expected}.`);
  const isEdited =
    exported.leafHash !== undefined && !exported.leafHash.equals(leafHash(exported.leaf));
  if (isEdited)
    add('edited', expected, `Leaf ${expected} is not what was appended: its hash differs.`);
  const place = placeOf(exported.leaf);
  if (!place) {
    if (!isEdited) add('unreadable', expected, `Leaf ${expected} is not an event.`);
    return findings;
  }
  const last = positions.get(place.producer) ?? 0;
  const told = `Leaf ${expected} is event ${place.position} of ${place.producer}, after event ${last}`;
  if (place.position > last + 1) add('missing', expected, `${told}: what was between is missing.`);
  if (place.position === last) add('duplicate', expected, `${told}: it stands there twice.`);
  if (place.position < last) add('reordered', expected, `${told}: the order was changed.`);
  positions.set(place.producer, Math.max(last, place.position));
  return findings;
}

function placeOf(leaf: Buffer): { producer: string; position: number } | undefined {
  try {
    return decodeLeaf(leaf);
  } catch {
    return undefined;
  }
}

function rootDiffers(start: number, end: number): LogFinding {
  const message = `The leaves ${start} to ${end - 1} do not give the root of the checkpoint of ${end} leaves.`;
  return { problem: 'root-differs', leafIndex: start, end, message };
}
