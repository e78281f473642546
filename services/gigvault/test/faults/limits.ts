import { processEnvironment } from '@gigvault/config/process-environment';
import { MODES, type Mode } from '@gigvault/testkit/pki-process';

/** True for `npm run test:faults`: the long forms, on a machine that has nothing else to do, with the limits that are promised. */
export const LONG = processEnvironment['FAULTS'] === 'long';

/** The modes in which a fault is tried: both in the long form, otherwise the one in which more could go wrong. */
export function modesFor(worse: Mode): readonly Mode[] {
  return LONG ? MODES : [worse];
}

/** What a machine may be slower by, that runs other tests at the same time. */
const PATIENCE = LONG ? 1 : 4;

/** Milliseconds within which everything serves again by itself once a fault is over. */
export const RECOVERY = 10_000 * PATIENCE;

/** Milliseconds within which a standby serves in its primary's place. */
export const FAILOVER = 30_000 * PATIENCE;

/** Milliseconds for an answer about a certificate's state, whatever else is broken. */
export const IN_TIME = 1_000 * PATIENCE;

/** Milliseconds in which 99 of 100 requests are answered while hostile clients hold what they can. */
export const BESIDE_HOSTILE = 200 * PATIENCE;
