import { readFile, stat } from 'node:fs/promises';
import { readCertList } from '@gigvault/x509/crl';
import { fromPem } from '@gigvault/x509/pem';
import type { PublishedCrl } from '../ports/shard-directory.ts';

/** A root CRL is small; anything larger is another file. Octets. */
const LARGEST = 10_000_000;

/**
 * Hands the file's CRL, DER or PEM, to `take` when the file has changed since it was last taken. Errors: those of `take`; an error for a file
 * that is no CRL. Either way the next call tries again.
 */
export function rootCrlFile(
  path: string,
): (take: (crl: PublishedCrl) => Promise<void>) => Promise<void> {
  let seen = 0;
  return async (take) => {
    const { mtimeMs, size } = await stat(path);
    if (mtimeMs === seen) return;
    if (size > LARGEST) throw new Error(`${path} is too large for a root CRL`);
    const content = await readFile(path);
    const der =
      content.subarray(0, 5).toString('latin1') === '-----' ? fromPemFile(content) : content;
    const { crlNumber, thisUpdate, nextUpdate, entries } = readCertList(der);
    const entryCount = [...entries()].length;
    await take({
      crlNumber: Number(crlNumber),
      thisUpdate,
      nextUpdate,
      entryCount,
      octets: der.length,
      parts: () => [der],
    });
    seen = mtimeMs;
  };
}

function fromPemFile(content: Buffer): Buffer {
  const [der] = fromPem(content.toString('latin1'), 'X509 CRL');
  if (!der) throw new Error('the root CRL file holds no X509 CRL block');
  return der;
}
