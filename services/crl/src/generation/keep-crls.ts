import type { FailureLog } from '@gigvault/telemetry/log';
import type { ShardKey } from '../ports/shard.ts';
import type { PublishedCrl, ShardDirectory } from '../ports/shard-directory.ts';
import type { ServedCrls } from '../serving/served-crls.ts';
import { type GenerateDeps, generateCrl, pruneCrls } from './generate-crl.ts';
import { nextDue, type Schedule } from './schedule.ts';

/** What keeping needs. */
export interface KeepDeps extends GenerateDeps {
  readonly directory: ShardDirectory;
  readonly served: ServedCrls;
  readonly schedule: Schedule;
  /** Of rounds in which none is made: the clock is not right. */
  readonly held: FailureLog;
  /** Begins to time a CRL; what it returns is called once the CRL is served. */
  timer(): () => void;
}

/** Milliseconds: the least that is waited when a CRL is due and another replica makes it. */
const SHORTEST_WAIT = 100;

/** Milliseconds until a failed CRL is tried again: often enough for 60 s, and few numbers are lost to a key that refuses. */
const RETRY = 5_000;

/**
 * Makes every CRL that is due, none while the clock is not right, and serves what is published. One shard's failure does not stop the others, and is tried again soon.
 * Returns the milliseconds until the next one is due. Errors: UNAVAILABLE when the database cannot be read.
 */
export async function keepCrls(deps: KeepDeps): Promise<number> {
  // First of all: after a start, what is published is served while the rest is made.
  await refreshServed(deps);
  if (!isClockRight(deps)) return RETRY;
  let failed = false;
  for (const shard of await deps.directory.list()) {
    const now = deps.clock.now();
    const due = nextDue(shard, deps.schedule, now);
    if (due.at > now) continue;
    try {
      const stop = deps.timer();
      const published = await generateCrl(deps, shard, due.scheduled);
      // What was just signed and verified need not be read again.
      if (published === 'busy') continue;
      await deps.served.put(shard, published);
      stop();
      await pruneCrls(deps, shard);
    } catch (error) {
      const fields = { ca: shard.issuerId, crl_shard: shard.crlShard, error };
      deps.log.error(fields, 'CRL not published; the one before stays');
      failed = true;
    }
  }
  const earliest = await refreshServed(deps);
  if (failed) return RETRY;
  return Math.max(SHORTEST_WAIT, earliest - deps.clock.now());
}

/** Once for all shards: by a clock that was set back each of them is due. */
function isClockRight({ clockGuard, held }: KeepDeps): boolean {
  try {
    clockGuard.check();
  } catch (error) {
    held.failed('error', error);
    return false;
  }
  held.worked();
  return true;
}

/** Takes up newly published CRLs. Returns when the next CRL is due, Unix ms. */
async function refreshServed(deps: KeepDeps): Promise<number> {
  let earliest = Number.POSITIVE_INFINITY;
  const shards = await deps.directory.list();
  for (const shard of shards) {
    earliest = Math.min(earliest, nextDue(shard, deps.schedule, deps.clock.now()).at);
    const number = deps.served.get(shard.issuerId, shard.crlShard)?.crlNumber ?? 0;
    if (!shard.published || shard.published.crlNumber <= number) continue;
    const published = await deps.directory.published(shard);
    if (published) await takeUp(deps, shard, published);
  }
  deps.served.expect(shards);
  return earliest;
}

/** One that cannot be read does not stop the others: what was served before is served on, until its nextUpdate. */
async function takeUp(deps: KeepDeps, shard: ShardKey, published: PublishedCrl): Promise<void> {
  try {
    await deps.served.put(shard, published);
  } catch (error) {
    const fields = { ca: shard.issuerId, crl_shard: shard.crlShard, error };
    deps.log.error(fields, 'a published CRL cannot be taken up; the one before stays');
  }
}
