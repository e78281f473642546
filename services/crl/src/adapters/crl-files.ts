import { createHash, type Hash } from 'node:crypto';
import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { writeFileDurably } from '@gigvault/files/durable-file';
import type { CrlBodies, CrlBody } from '../ports/crl-bodies.ts';
import type { PublishedCrl } from '../ports/shard-directory.ts';

/** Octets up to which a CRL is held in memory. */
const SMALL = 1_000_000;

/** Octets that are read ahead for one client. */
const READ_AHEAD = 128 * 1024;

const EVERYBODY_READS = 0o644;

/** Small CRLs in memory, large ones in files below `directory`, which are copies: they are written anew by each process. */
export function crlFiles(directory: string): CrlBodies {
  let cleaned: Promise<void> | undefined;
  let written = 0;
  return {
    async keep(shard, crl) {
      if (crl.octets <= SMALL) return inMemory(crl);
      cleaned ??= clean(directory).catch((error: unknown) => {
        // The next list tries again.
        cleaned = undefined;
        throw error;
      });
      await cleaned;
      written += 1;
      // A name of its own: another list may come under the same number, and the one before is deleted after it was written.
      const { issuerId, crlShard } = shard;
      return inFile(directory, `${issuerId}-${crlShard}-${crl.crlNumber}-${written}.crl`, crl);
    },
  };
}

/** What a process before this one has left. */
async function clean(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const file of await readdir(directory)) await rm(join(directory, file), { force: true });
}

async function inMemory(crl: PublishedCrl): Promise<CrlBody> {
  const parts: Buffer[] = [];
  for await (const part of crl.parts()) parts.push(part);
  const der = Buffer.concat(parts);
  requireWhole(crl, der.length);
  return {
    etag: etagOf(createHash('sha256').update(der)),
    open: async () => der,
    discard: async () => undefined,
  };
}

async function inFile(directory: string, name: string, crl: PublishedCrl): Promise<CrlBody> {
  const path = join(directory, name);
  const hash = createHash('sha256');
  await mkdir(directory, { recursive: true });
  await writeFileDurably(
    path,
    async (file) => {
      let octets = 0;
      for await (const part of crl.parts()) {
        hash.update(part);
        octets += part.length;
        await file.writeFile(part);
      }
      requireWhole(crl, octets);
    },
    EVERYBODY_READS,
  );
  return {
    etag: etagOf(hash),
    async open() {
      const file = await open(path, 'r').catch(unlessGone);
      return file?.createReadStream({ highWaterMark: READ_AHEAD });
    },
    discard: () => rm(path, { force: true }),
  };
}

function unlessGone(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
  return undefined;
}

function requireWhole({ crlNumber, octets }: PublishedCrl, found: number): void {
  if (found === octets) return;
  const message = `CRL ${crlNumber} has ${found} octets, and should have ${octets}.`;
  throw new GigvaultError('CONFLICT', message);
}

function etagOf(hash: Hash): string {
  return `"${hash.digest('base64url')}"`;
}
