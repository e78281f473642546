import { createHash, hash } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { entropyToMnemonic, mnemonicToEntropy } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { wordHint, wordIndex } from '../text/word-list.ts';

const WORDS = 24;
const WORDS_A_LINE = 6;
const OCTETS_A_LINE = 16;

/** As `SHA256 4F:2A:…`. */
export function fingerprint(der: Buffer): string {
  const hex = hash('sha256', der).toUpperCase();
  return `SHA256 ${hex.replace(/..(?=.)/g, '$&:')}`;
}

/** SHA-256 of a certificate for people, at most 80 columns wide: two lines of hex, and 24 words of BIP 39, whose last one checks the others. */
export function fingerprintLines(certificate: Uint8Array): string[] {
  const octets = createHash('sha256').update(certificate).digest();
  const hex = octets.toString('hex').toUpperCase().match(/../g) as string[];
  return [
    ...rows(hex, OCTETS_A_LINE).map(
      (row, i) => `  ${i === 0 ? 'SHA256' : '      '} ${row.join(':')}`,
    ),
    ...rows(fingerprintWords(octets), WORDS_A_LINE).map((row) => `    ${row.join(' ')}`),
  ];
}

function fingerprintWords(octets: Uint8Array): string[] {
  return entropyToMnemonic(new Uint8Array(octets), wordlist).split(' ');
}

/** SHA-256, hex, as somebody has written it down: hex with or without colons, or the words. Errors: INVALID_ARGUMENT that says which word is not in the list. */
export function readFingerprint(text: string): string {
  const hex = text.replace(/^\s*SHA-?256/i, '').replaceAll(/[\s:]/g, '');
  if (/^[0-9a-f]{64}$/i.test(hex)) return hex.toLowerCase();
  const typed = text.trim().toLowerCase().split(/\s+/);
  if (typed.length !== WORDS)
    refuse(`That is no fingerprint: it has 64 hex digits, or ${WORDS} words.`);
  const words = typed.map((word, i) => {
    const index = wordIndex(word);
    return wordlist[index ?? refuse(`Word ${i + 1} is not in the list. ${wordHint(word)}`)];
  });
  try {
    return Buffer.from(mnemonicToEntropy(words.join(' '), wordlist)).toString('hex');
  } catch (cause) {
    return refuse('These words do not belong together: one is another, or two are swapped.', cause);
  }
}

function refuse(why: string, cause?: unknown): never {
  throw new GigvaultError('INVALID_ARGUMENT', why, { cause });
}

function rows<T>(all: readonly T[], length: number): T[][] {
  const count = Math.ceil(all.length / length);
  return Array.from({ length: count }, (_, i) => all.slice(i * length, (i + 1) * length));
}
