import { z } from 'zod';
import type { RoomFacts } from '../ports/room.ts';

/** Schema of RoomFinding. */
export const roomFindingSchema = z.strictObject({
  /** As `network`. */
  what: z.enum(['entropy', 'network', 'swap', 'program', 'node', 'clock', 'answers']),
  /** As it was found. */
  found: z.string(),
  /** Why somebody went on although it is not as it should be; absent where it is. */
  accepted: z.string().optional(),
});

/** One thing that was looked at, as the transcript has it. */
export type RoomFinding = z.infer<typeof roomFindingSchema>;

/** A finding that nobody has accepted yet. */
export interface Looked {
  readonly what: RoomFinding['what'];
  readonly found: string;
  /** Undefined: it is as it should be. */
  readonly problem: string | undefined;
}

/** Keys of 256 bits want as much. Kernels since 5.18 say 256 for ever once they have had enough. */
const ENTROPY_BITS = 256;

/** What the room is like. The clock is not looked at here: only people know what time it is. */
export function checkRoom(facts: RoomFacts): Looked[] {
  const { entropyBits, networkUp, networkDown, swap, program, node } = facts;
  const names = (list: readonly string[], none: string) => list.join(', ') || none;
  const few = entropyBits !== undefined && entropyBits < ENTROPY_BITS;
  return [
    {
      what: 'entropy',
      found: entropyBits === undefined ? 'the system does not say' : `${entropyBits} bits`,
      problem: few ? `the system has fewer than ${ENTROPY_BITS} bits of randomness` : undefined,
    },
    {
      what: 'network',
      found:
        networkUp.length === 0 && networkDown.length > 0
          ? `down: ${names(networkDown, '')}`
          : names(networkUp, 'only loopback'),
      problem: networkUp.length > 0 ? 'this machine has a network' : undefined,
    },
    {
      what: 'swap',
      found: names(swap, 'none'),
      problem:
        swap.length > 0 ? 'memory may be written to a disk: run swapoff --all first' : undefined,
    },
    { what: 'program', found: `rootca ${program.version} ${program.sha256}`, problem: undefined },
    { what: 'node', found: `${node.version} ${node.sha256}`, problem: undefined },
  ];
}
