import type { MasterKey, MasterKeys } from './master-key.ts';

const FIRST_LINE = /^master-key: ([0-9a-f]{16})\n/;
/** Octets of the first line. */
export const FIRST_LINE_OCTETS = 'master-key: '.length + 17;

/** What a key file holds: which master key it is under, and the key. PEM lets text stand before it (RFC 7468 §2). */
export function wrappedUnder({ id }: MasterKey, body: string): string {
  return `master-key: ${id}\n${body}`;
}

/** The id of the master key that a file is under; undefined for one of before there were ids. @param beginning of the file */
export function masterKeyIdOf(beginning: Buffer): string | undefined {
  return FIRST_LINE.exec(beginning.subarray(0, FIRST_LINE_OCTETS).toString('latin1'))?.[1];
}

/**
 * Opens a key file with the master key that it names; one that names none, with whichever opens it. Throws when there is no such master key, or it does
 * not open the file.
 */
export async function openWrapped<K>(
  keys: MasterKeys,
  file: Buffer,
  open: (body: Buffer, passphrase: Buffer) => K | Promise<K>,
): Promise<K> {
  const id = masterKeyIdOf(file);
  const body = id === undefined ? file : file.subarray(FIRST_LINE_OCTETS);
  const fitting = keys.all().filter((key) => id === undefined || key.id === id);
  let failure: unknown = new Error(`the master key ${id} is not there`);
  for (const { passphrase } of fitting) {
    try {
      return await open(body, passphrase);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}
