import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { removeWithDrafts, sweepDrafts, writeFileDurably } from '@gigvault/files/durable-file';
import { encryptedPkcs8, openJwe, openPkcs8 } from './key-file.ts';
import type { MasterKeyRotation } from './key-store.ts';
import type { MasterKey, MasterKeys } from './master-key.ts';
import { sealSecretKey } from './sealed-secret.ts';
import { OWNER_ONLY } from './secret-file.ts';
import { FIRST_LINE_OCTETS, masterKeyIdOf, openWrapped, wrappedUnder } from './wrapped-key.ts';

const KEY_FILE = /^[A-Za-z0-9-]{1,255}\.(p8|jwe)$/;

/** Writes, re-wraps and removes the files of a folder, so that none of these meets another on the same file. */
export interface KeyFileRotation extends MasterKeyRotation {
  /** A new file under the current master key, durable when it resolves. */
  write(path: string, wrap: (passphrase: Buffer) => string | Promise<string>): Promise<void>;
  /** With what a write of it that failed has left; whether or not it is there. */
  remove(path: string): Promise<void>;
}

/** The key files of a folder, each under one of `masterKeys`. They belong to one process: what another that died was writing is removed. */
export function keyFileRotation(directory: string, masterKeys: MasterKeys): KeyFileRotation {
  sweepDrafts(directory, (name) => KEY_FILE.test(name));
  const { replacement } = masterKeys;
  const inTurn = turns();
  const writing = new Set<Promise<unknown>>();
  let waiting: string[] = [];
  let failure: unknown;

  async function behind(): Promise<KeyFiles> {
    // What was begun under the master key of before is a file, or none, from here on.
    await Promise.allSettled(writing);
    return keyFiles(directory, masterKeys.current().id);
  }

  return {
    async write(path, wrap) {
      const written = writeWrapped(path, masterKeys.current(), wrap);
      writing.add(written);
      await written.finally(() => writing.delete(written));
    },
    remove: (path) => inTurn(path, () => removeWithDrafts(path)),
    async status() {
      const { files, earlier } = await behind();
      const [current = '', ...others] = masterKeys.all().map(({ id }) => id);
      return { current, earlier: others, keys: files, keysUnderEarlier: earlier.length };
    },
    async rewrapNext(limit) {
      // Looked for once: a folder may have very many.
      if (waiting.length === 0) {
        waiting = (await behind()).earlier;
        failure = undefined;
      }
      for (const path of waiting.splice(0, limit)) {
        await inTurn(path, () => rewrap(path, masterKeys)).catch((error: unknown) => {
          failure ??= error;
        });
        // Each holds the loop up for some milliseconds: whoever signs meanwhile goes first (fault T72).
        await setImmediate();
      }
      if (waiting.length > 0) return waiting.length;
      // Not before all had their turn: whoever asks goes on until it is told of one that cannot be opened.
      if (failure !== undefined) throw failure;
      return (await behind()).earlier.length;
    },
    ...(replacement && {
      async begin(replaces) {
        const { id } = await replacement.add(replaces);
        waiting = [];
        return id;
      },
      async end() {
        const { earlier } = await behind();
        if (earlier.length === 0) return replacement.removeEarlier();
        const message = `${earlier.length} keys are under an earlier master key.`;
        throw new GigvaultError('CONFLICT', message);
      },
    }),
  };
}

/** One after the other on each file: a key that is removed while it is re-wrapped would be there again. */
function turns() {
  const busy = new Map<string, Promise<unknown>>();
  return async <T>(path: string, run: () => Promise<T>): Promise<T> => {
    const turn = (busy.get(path) ?? Promise.resolve()).then(run, run);
    busy.set(path, turn);
    try {
      return await turn;
    } finally {
      if (busy.get(path) === turn) busy.delete(path);
    }
  };
}

interface KeyFiles {
  readonly files: number;
  /** Paths of those under another master key. */
  readonly earlier: string[];
}

async function keyFiles(directory: string, masterKeyId: string): Promise<KeyFiles> {
  const files = await masterKeyIds(directory);
  const earlier = files.filter(({ id }) => id !== masterKeyId).map(({ path }) => path);
  return { files: files.length, earlier };
}

/** Key files that cannot be opened, of how many. */
export interface OrphanedKeyFiles {
  readonly files: number;
  readonly orphaned: number;
  /** Ids of the master keys that they are under. */
  readonly under: readonly string[];
}

/** The key files under master keys that are not among these, by their first lines; nothing is opened. One of before there were ids is not among them. */
export async function orphanedKeyFiles(
  directory: string,
  masterKeys: MasterKeys,
): Promise<OrphanedKeyFiles> {
  const known = new Set(masterKeys.all().map(({ id }) => id));
  const files = await masterKeyIds(directory);
  const orphaned = files.flatMap(({ id }) => (id === undefined || known.has(id) ? [] : id));
  return { files: files.length, orphaned: orphaned.length, under: [...new Set(orphaned)] };
}

/** Which master key each key file says that it is under. */
async function masterKeyIds(
  directory: string,
): Promise<{ readonly path: string; readonly id: string | undefined }[]> {
  const files: { path: string; id: string | undefined }[] = [];
  for (const name of await readdir(directory)) {
    if (!KEY_FILE.test(name)) continue;
    const path = join(directory, name);
    const beginning = await beginningOf(path);
    if (beginning !== undefined) files.push({ path, id: masterKeyIdOf(beginning) });
  }
  return files;
}

async function writeWrapped(
  path: string,
  masterKey: MasterKey,
  wrap: (passphrase: Buffer) => string | Promise<string>,
): Promise<void> {
  const body = await wrap(masterKey.passphrase);
  await writeFileDurably(path, wrappedUnder(masterKey, body), OWNER_ONLY);
}

async function rewrap(path: string, masterKeys: MasterKeys): Promise<void> {
  const file = await readFile(path).catch(ifMissing);
  const masterKey = masterKeys.current();
  if (file === undefined || masterKeyIdOf(file) === masterKey.id) return;
  const body = await rewrapped(path, file, masterKeys, masterKey.passphrase).catch(
    (cause: unknown) => {
      const message = `${path} cannot be put under the new master key.`;
      throw new GigvaultError('KEY_UNAVAILABLE', message, { cause });
    },
  );
  await writeFileDurably(path, wrappedUnder(masterKey, body), OWNER_ONLY);
}

/** The file's key under another passphrase, and opened again: what cannot be opened must not take its place. */
async function rewrapped(
  path: string,
  file: Buffer,
  masterKeys: MasterKeys,
  passphrase: Buffer,
): Promise<string> {
  if (path.endsWith('.p8')) {
    const key = await openWrapped(masterKeys, file, openPkcs8);
    const pem = encryptedPkcs8(key, passphrase);
    if (openPkcs8(Buffer.from(pem), passphrase).equals(key)) return pem;
  } else {
    const secret = await openWrapped(masterKeys, file, openJwe);
    const jwe = await sealSecretKey(secret, passphrase);
    if ((await openJwe(Buffer.from(jwe), passphrase)).key.equals(secret.key)) return jwe;
  }
  throw new Error('it is another key when it is opened again');
}

async function beginningOf(path: string): Promise<Buffer | undefined> {
  const file = await open(path, 'r').catch(ifMissing);
  if (file === undefined) return undefined;
  try {
    const { buffer, bytesRead } = await file.read(
      Buffer.alloc(FIRST_LINE_OCTETS),
      0,
      FIRST_LINE_OCTETS,
      0,
    );
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Removed meanwhile. */
function ifMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
  return undefined;
}
