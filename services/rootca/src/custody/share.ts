import { createHash, hash } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { wordHint, wordIndex } from '../text/word-list.ts';

/** One holder's part of a secret. */
export interface Share {
  /** True: it opens throw-away keys only. */
  readonly isRehearsal: boolean;
  /** Which splitting it is of: 8 hex digits. */
  readonly setId: string;
  /** How many shares of the set open it. */
  readonly threshold: number;
  /** Which of the set it is, from 1. */
  readonly index: number;
  /** 33 octets: 32 that belong to the secret's, and the coordinate. */
  readonly octets: Uint8Array;
}

/** Words of a share. */
export const SHARE_WORDS = 32;

const VERSION = 1;
const REHEARSAL = 0x80;
const SET_ID = { at: 1, length: 4 };
const THRESHOLD_AT = 5;
const INDEX_AT = 6;
const OCTETS_AT = 7;
const CHECKSUM_AT = 40;
const LENGTH = 44;
const BITS_OF_WORD = 11n;

/**
 * A share as 32 words of the BIP 39 list, 11 bits each: version and kind (1 octet), set (4), threshold (1), index (1), share (33), and the first
 * 4 octets of the SHA-256 of all that.
 */
export function encodeShare(share: Share): string[] {
  const octets = Buffer.alloc(LENGTH);
  octets[0] = VERSION | (share.isRehearsal ? REHEARSAL : 0);
  octets.write(share.setId, SET_ID.at, SET_ID.length, 'hex');
  octets[THRESHOLD_AT] = share.threshold;
  octets[INDEX_AT] = share.index;
  octets.set(share.octets, OCTETS_AT);
  octets.set(checksum(octets), CHECKSUM_AT);
  let number = BigInt(`0x${octets.toString('hex')}`);
  octets.fill(0);
  const words: string[] = [];
  for (let i = 0; i < SHARE_WORDS; i++) {
    words.unshift(wordlist[Number(number & ((1n << BITS_OF_WORD) - 1n))] as string);
    number >>= BITS_OF_WORD;
  }
  return words;
}

/**
 * A share as a person has typed it: in either case, with or without numbers before the words, on one line or many; of a word its first four
 * letters will do. Errors: INVALID_ARGUMENT that says which word is not in the list, how many words are missing, or that they do not belong together. No message
 * repeats a word; `details.hint` does, and is for the screen of whoever typed it.
 */
export function decodeShare(text: string): Share {
  const typed = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  const indexes = typed.map(indexOf);
  if (indexes.length !== SHARE_WORDS) {
    refuse(`A share has ${SHARE_WORDS} words, here are ${indexes.length}.`);
  }
  const number = indexes.reduce((sum, index) => (sum << BITS_OF_WORD) | BigInt(index), 0n);
  const octets = Buffer.from(number.toString(16).padStart(LENGTH * 2, '0'), 'hex');
  try {
    if (!checksum(octets).equals(octets.subarray(CHECKSUM_AT))) {
      refuse('These words do not belong together: one is another, or two are swapped.');
    }
    return fields(octets);
  } finally {
    octets.fill(0);
  }
}

/** SHA-256 of a share, hex. It tells nothing of the share, whose octets are random, but is the same for no other. */
export function shareHash({ octets }: Share): string {
  return hash('sha256', octets);
}

function fields(octets: Buffer): Share {
  const kind = octets[0] as number;
  if ((kind & ~REHEARSAL) !== VERSION) {
    refuse('This share was made by a newer version of GigVault, or is no share.');
  }
  return {
    isRehearsal: (kind & REHEARSAL) !== 0,
    setId: octets.toString('hex', SET_ID.at, SET_ID.at + SET_ID.length),
    threshold: octets[THRESHOLD_AT] as number,
    index: octets[INDEX_AT] as number,
    octets: new Uint8Array(octets.subarray(OCTETS_AT, CHECKSUM_AT)),
  };
}

function indexOf(typed: string, position: number): number {
  return wordIndex(typed) ?? refuse(`Word ${position + 1} is not in the list.`, wordHint(typed));
}

function checksum(octets: Buffer): Buffer {
  const summed = octets.subarray(0, CHECKSUM_AT);
  return createHash('sha256')
    .update(summed)
    .digest()
    .subarray(0, LENGTH - CHECKSUM_AT);
}

/** What is wrong with what was typed, for the screen of whoever typed it. Errors: all but INVALID_ARGUMENT. */
export function shareProblem(error: unknown): string {
  if (!(error instanceof GigvaultError) || error.code !== 'INVALID_ARGUMENT') throw error;
  return [error.message, error.details.hint ?? ''].join(' ').trimEnd();
}

function refuse(why: string, hint?: string): never {
  throw new GigvaultError('INVALID_ARGUMENT', why, hint === undefined ? {} : { details: { hint } });
}
