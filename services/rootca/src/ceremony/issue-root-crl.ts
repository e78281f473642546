import type { Clock } from '@gigvault/time/clock';
import { buildTbsCertList, type CrlEntry, encodeCrlEntry, readCertList } from '@gigvault/x509/crl';
import { type Root, rootKeyType, signAsRoot } from './root.ts';

const DAY = 86_400_000;

/**
 * The root's CRL: scope CA certificates, all of them. It keeps what `previous` lists and has the next number; a first
 * one has number 1. DER.
 */
export async function issueRootCrl(
  root: Root,
  clock: Clock,
  more: { readonly previous?: Buffer; readonly revoked?: readonly CrlEntry[] } = {},
): Promise<Buffer> {
  const previous = more.previous === undefined ? undefined : readCertList(more.previous);
  const entries = [...(previous?.entries() ?? []), ...(more.revoked ?? [])];
  const thisUpdate = Math.floor(clock.now() / 1_000) * 1_000;
  const { certificate, plan, key } = root;
  const tbs = buildTbsCertList({
    issuerName: certificate.subject,
    issuerKeyIdentifier: certificate.publicKey.keyIdentifier,
    signingKeyType: rootKeyType(root),
    crlNumber: (previous?.crlNumber ?? 0n) + 1n,
    thisUpdate,
    nextUpdate: thisUpdate + plan.rootCrl.validityDays * DAY,
    entries: Buffer.concat(distinct(entries).map(encodeCrlEntry)),
    // Without a distribution point: the root itself names none, and who checks a whole chain asks for the root's status too.
    scope: 'caCerts',
  });
  return signAsRoot(key, tbs);
}

/** A serial number stands once; the first revocation counts. */
function distinct(entries: readonly CrlEntry[]): CrlEntry[] {
  const bySerial = new Map<string, CrlEntry>();
  for (const entry of entries) {
    if (!bySerial.has(entry.serialNumber)) bySerial.set(entry.serialNumber, entry);
  }
  return [...bySerial.values()];
}
