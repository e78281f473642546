import { nearest } from '@gigvault/config/nearest';
import { wordlist } from '@scure/bip39/wordlists/english.js';

const INDEX_OF: ReadonlyMap<string, number> = new Map(wordlist.map((word, i) => [word, i]));
/** No two words of the list begin with the same four letters (BIP 39). */
const BY_BEGINNING: ReadonlyMap<string, number> = new Map(
  wordlist.map((word, i) => [word.slice(0, 4), i]),
);

/** Where in the BIP 39 list a word stands that somebody has typed, in lower case; its first four letters will do. */
export function wordIndex(typed: string): number | undefined {
  return INDEX_OF.get(typed) ?? BY_BEGINNING.get(typed);
}

/** What is to be said of a word that is not in the list: it, and what it may be. */
export function wordHint(typed: string): string {
  const meant = nearest(typed, wordlist);
  const shown = typed.length > 20 ? `${typed.slice(0, 20)}…` : typed;
  return `It is "${shown}"${meant === undefined ? '' : `. Did you mean "${meant}"?`}`;
}
