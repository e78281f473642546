import { randomInt } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { verifyCheckpoint } from '@gigvault/merkle/checkpoint';
import type { Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import { periodic, type Worker } from '@gigvault/time/worker';
import type { CheckpointSigner, CheckpointStore } from '../ports/checkpoints.ts';
import { damaged } from '../proof/damage.ts';
import {
  BLOCK,
  damageFoundBy,
  type SignedHead,
  type VerifyDeps,
  verifyBlock,
} from './verify-block.ts';

/** What the verifier needs. */
export interface VerifierDeps extends VerifyDeps {
  readonly checkpoints: CheckpointStore;
  readonly signer: CheckpointSigner;
  readonly clock: Clock;
  readonly log: Log;
  /** As `gigvault.local/audit`. */
  readonly origin: string;
  /** Milliseconds between two blocks; sixty times as long between two passes over the log. */
  readonly interval: number;
  /** Told each time that something does not verify. */
  onDamage(): void;
}

/** A worker that verifies the log for ever. */
export interface Verifier extends Worker {
  /** What does not verify, with the entry where that is known, and how much more there is. Undefined while all is well. */
  damage(): string | undefined;
}

/** Damaged places that are remembered; of a log with more only the number of failures grows. */
const MOST_DAMAGE = 100;

/** The place of a checkpoint that does not verify, beside the numbers of blocks. */
const CHECKPOINT = -1;

/**
 * Verifies the log against the newest checkpoint, a block a round, from a block chosen at random on: a process that is restarted often
 * gets round a large log too. What was found damaged is looked at again each round, so that a repair is noticed soon.
 */
export function keepVerifying(deps: VerifierDeps): Verifier {
  const { clock, log, interval } = deps;
  const found = new Map<number, string>();
  let next: number | undefined;

  async function judge(place: number, verify: () => Promise<unknown>): Promise<void> {
    const damage = await damageFoundBy(verify);
    if (damage !== undefined) deps.onDamage();
    if (damage === found.get(place)) return;
    if (damage === undefined) {
      found.delete(place);
      log.info({ operation: 'audit.verifier' }, 'what was damaged in the audit log verifies again');
    } else if (found.size < MOST_DAMAGE) {
      found.set(place, damage);
      log.error({ operation: 'audit.verifier', damage }, 'the audit log does not verify');
    }
  }

  async function round(): Promise<number> {
    let head: SignedHead | undefined;
    await judge(CHECKPOINT, async () => {
      head = await signedHead(deps);
    });
    if (!head || head.size === 0) return interval;
    const blocks = Math.ceil(head.size / BLOCK);
    const block = (next ?? randomInt(blocks)) % blocks;
    const [again = block] = [...found.keys()].filter((place) => place !== CHECKPOINT);
    for (const place of new Set([block, again]))
      await judge(place, () => verifyBlock(deps, head!, place));
    next = (block + 1) % blocks;
    return next === 0 && found.size === 0 ? interval * 60 : interval;
  }

  const worker = periodic({
    name: 'audit.verifier',
    clock,
    interval,
    round,
    onError: (error) =>
      log.warn({ error, operation: 'audit.verifier' }, 'the audit log is not verified now'),
  });
  function damage(): string | undefined {
    const [first, ...more] = found.values();
    return first === undefined || more.length === 0 ? first : `${first} And ${more.length} more.`;
  }
  return { ...worker, damage };
}

/** The newest checkpoint's head, by the key that keymgr has; undefined before the first. Errors: AUDIT_NOT_VERIFIED for a forged one. */
async function signedHead(deps: VerifierDeps): Promise<SignedHead | undefined> {
  const newest = await deps.checkpoints.newest();
  if (!newest) return undefined;
  const publicKey = await deps.signer.publicKey();
  try {
    return verifyCheckpoint(newest.note, publicKey, deps.origin);
  } catch (error) {
    if (!(error instanceof GigvaultError)) throw error;
    throw damaged(`the checkpoint of ${newest.treeSize} entries is not one that was signed`, error);
  }
}
