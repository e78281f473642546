import { describe, expect, it } from '@jest/globals';
import { encodeLeaf } from './leaf.ts';
import { EMPTY_FRONTIER, extendTree, leafHash, rootOf } from './tree.ts';
import { type ExportedLeaf, verifyLog } from './verify-log.ts';

const PRODUCERS = ['ca', 'ra', 'auth'];

function makeLeaf(leafIndex: number, subject = `s${leafIndex}`): Buffer {
  return encodeLeaf({
    position: Math.floor(leafIndex / PRODUCERS.length) + 1,
    producer: PRODUCERS[leafIndex % PRODUCERS.length]!,
    type: 'thing.made',
    occurredAt: 1763764800000 + leafIndex,
    actor: 'user:1',
    subject,
    data: Buffer.from('{}'),
    traceId: '',
  });
}

function exported(leafIndex: number, leaf = makeLeaf(leafIndex)): ExportedLeaf {
  return { leafIndex, leaf, leafHash: leafHash(leaf) };
}

const LOG = Array.from({ length: 30 }, (_, i) => exported(i));

function head(size: number) {
  const hashes = LOG.slice(0, size).map(({ leaf }) => leafHash(leaf));
  return { size, root: rootOf(extendTree(EMPTY_FRONTIER, hashes).frontier) };
}

const HEADS = [head(30), head(0), head(10), head(20)];

async function problems(log: readonly ExportedLeaf[], heads = HEADS): Promise<string[]> {
  const { findings } = await verifyLog(log, heads);
  return findings.map(
    ({ problem, leafIndex, end }) => `${problem} ${leafIndex}${end ? `-${end}` : ''}`,
  );
}

// covers: T65
describe('verifyLog', () => {
  it('finds nothing in a sound log', async () => {
    expect(await verifyLog(LOG, HEADS)).toEqual({ findings: [], leaves: 30, verifiedSize: 30 });
    expect(await verifyLog([], [head(0)])).toEqual({ findings: [], leaves: 0, verifiedSize: 0 });
  });

  it('finds the exact leaf that was edited', async () => {
    const log = LOG.with(13, { ...LOG[13]!, leaf: makeLeaf(13, 'forged') });
    expect(await problems(log)).toEqual(['edited 13', 'root-differs 10-20', 'root-differs 10-30']);
    expect((await verifyLog(log, HEADS)).verifiedSize).toBe(10);
  });

  it('finds the exact leaf that was deleted, renumbered or not', async () => {
    expect((await problems(LOG.toSpliced(13, 1)))[0]).toBe('missing 13');
    const renumbered = LOG.toSpliced(13, 1).map((leaf, leafIndex) => ({ ...leaf, leafIndex }));
    // The next event of the same producer shows the gap: leaf 16 of the old log, 15 of the new.
    expect((await problems(renumbered))[0]).toBe('missing 15');
    expect(await problems(renumbered)).toContain('truncated 29');
  });

  it('finds the exact leaves that changed places', async () => {
    const swapped = LOG.with(13, LOG[16]!).with(16, LOG[13]!);
    expect(await problems(swapped)).toContain('missing 13');
    expect(await problems(swapped)).toContain('reordered 16');
    const renumbered = swapped.map((leaf, leafIndex) => ({ ...leaf, leafIndex }));
    expect((await problems(renumbered)).slice(0, 2)).toEqual(['missing 13', 'reordered 16']);
  });

  it('finds where the log was cut off, and what stands there twice', async () => {
    expect(await problems(LOG.slice(0, 25))).toEqual(['truncated 25']);
    const twice = LOG.toSpliced(14, 0, LOG[11]!).map((leaf, leafIndex) => ({ ...leaf, leafIndex }));
    expect((await problems(twice))[0]).toBe('duplicate 14');
  });

  it('finds the range in which a forger also replaced the stored hash', async () => {
    const log = LOG.with(13, exported(13, makeLeaf(13, 'forged')));
    expect(await problems(log)).toEqual(['root-differs 10-20', 'root-differs 10-30']);
  });

  it('finds a leaf that is no event', async () => {
    const log = LOG.with(4, exported(4, Buffer.from('{}')));
    expect((await problems(log))[0]).toBe('unreadable 4');
  });
});
