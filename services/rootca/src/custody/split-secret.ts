import { randomBytes } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { combine, split } from 'shamir-secret-sharing';
import type { Custody } from '../plan/plan.ts';
import { type CustodyRecord, recordOf } from './custody-record.ts';
import { type Share, shareHash } from './share.ts';

const SECRET_OCTETS = 32;
const SET_ID_OCTETS = 4;

/** A secret and its shares, one a holder, in their order. */
export interface SplitSecret {
  /** 32 random octets; whoever has it can use the root's key. To be zeroed. */
  readonly secret: Buffer;
  readonly shares: readonly Share[];
  /** Public: what a share is known by. */
  readonly record: CustodyRecord;
}

/** A fresh secret, split by Shamir's scheme: fewer shares than the threshold tell nothing of it. */
export async function newSplitSecret(custody: Custody, isRehearsal: boolean): Promise<SplitSecret> {
  const { threshold, holders } = custody;
  const secret = randomBytes(SECRET_OCTETS);
  // The library takes no Buffer. Its coefficients, which it does not overwrite, are the garbage collector's.
  const copy = new Uint8Array(secret);
  const parts = await split(copy, holders.length, threshold).finally(() => copy.fill(0));
  const setId = randomBytes(SET_ID_OCTETS).toString('hex');
  const shares = parts.map(
    (octets, i): Share => ({ isRehearsal, setId, threshold, index: i + 1, octets }),
  );
  return { secret, shares, record: recordOf(custody, shares) };
}

/** Errors: INVALID_ARGUMENT for a share that is not of this set, or not as it was made. */
export function requireOfSet(record: CustodyRecord, share: Share): void {
  if (share.isRehearsal !== record.isRehearsal) {
    refuse(
      share.isRehearsal
        ? 'This is a share of a rehearsal: it opens throw-away keys only.'
        : 'This is a real share; a rehearsal takes none.',
    );
  }
  if (share.setId !== record.setId) {
    refuse(
      `This is a share of another ceremony: of set ${share.setId}, this root's is ${record.setId}.`,
    );
  }
  if (record.holders[share.index - 1]?.shareSha256 !== shareHash(share)) {
    refuse(`This is not share ${share.index} as it was made.`);
  }
}

/**
 * The secret, of as many shares of its set as are needed, or more. Errors: INVALID_ARGUMENT for too few, for the same one twice, and those of
 * requireOfSet.
 */
export async function recombine(record: CustodyRecord, shares: readonly Share[]): Promise<Buffer> {
  for (const share of shares) requireOfSet(record, share);
  const given = new Set(shares.map(({ index }) => index));
  if (given.size < shares.length) refuse('The same share was given twice.');
  if (given.size < record.threshold) {
    refuse(`${record.threshold} shares are needed, here are ${given.size}.`);
  }
  const { buffer, byteOffset, byteLength } = await combine(shares.map(({ octets }) => octets));
  // The same octets, not a copy.
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** Overwrites them. Words that were made of them are the garbage collector's. */
export function wipe(...shares: readonly Share[]): void {
  wipeOctets(...shares.map(({ octets }) => octets));
}

/** The same, of what a secret or a share was in. */
export function wipeOctets(...all: readonly Uint8Array[]): void {
  for (const octets of all) octets.fill(0);
}

function refuse(why: string): never {
  throw new GigvaultError('INVALID_ARGUMENT', why);
}
