import { type Attribute, encodeName, readName } from './name.ts';

/** Characters of a commonName (RFC 5280 appendix A). */
const LONGEST = 64;

/** The last generation that has a name. */
export const LAST_GENERATION = 999;

/**
 * The subject of a CA's n-th key. Each key has a name of its own: the first key's with ` G2`, ` G3` and so on behind its commonName, of which a
 * ` G1` goes, and as much as is too long for 64 characters. The same for whoever makes the key and whoever signs its certificate.
 * @param generation 1 to LAST_GENERATION; 1 is the first key's name itself
 */
export function generationSubject(first: readonly Attribute[], generation: number): Attribute[] {
  if (generation === 1) return [...first];
  const suffix = ` G${generation}`;
  return first.map(({ type, value }) => {
    if (type !== 'CN') return { type, value };
    const stem = [...value.replace(/ G1$/, '')].slice(0, LONGEST - suffix.length).join('');
    return { type, value: stem + suffix };
  });
}

/** Which of the CA's generations a subject (DER) names; undefined for another CA. */
export function generationOf(first: readonly Attribute[], subject: Buffer): number | undefined {
  const commonName = readName(subject).find(({ type }) => type === 'CN')?.value ?? '';
  const suffix = / G([1-9]\d{0,2})$/.exec(commonName)?.[1];
  return [1, Number(suffix ?? 1)].find((generation) =>
    encodeName(generationSubject(first, generation)).equals(subject),
  );
}
