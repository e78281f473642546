import { cloneCertificates } from '@gigvault/testkit/clone-certificates';
import { eventually } from '@gigvault/testkit/eventually';
import { MODES, startPki } from '@gigvault/testkit/pki-process';
import { readCertList } from '@gigvault/x509/crl';
import type { Effort, Measurement } from './measurement.ts';
import { type Leaf, type PkiClient, pkiClient } from './pki-client.ts';
import { quantile } from './statistics.ts';

/** Revocations of a mode; `--quick` has a third. */
const REVOCATIONS = 36;
const MASS = 100_000;
const PAUSE = 10;

/** From the answer to a revocation until OCSP and the CRL say so, as production is configured, in both modes; then a key with 100,000 certificates. */
export async function* benchRevocation({ rounds }: Effort): AsyncIterable<Measurement> {
  const count = rounds < 5 ? REVOCATIONS / 3 : REVOCATIONS;
  for (const mode of MODES) {
    const pki = await startPki(mode, '--encode-in-process', 'false');
    try {
      const client = await pkiClient(pki);
      try {
        const leaves: Leaf[] = [];
        while (leaves.length < count) leaves.push(await client.issue());
        const crl: Promise<number>[] = [];
        const ocsp: number[] = [];
        for (const leaf of leaves) {
          await client.revoke(leaf, 4);
          const since = performance.now();
          crl.push(until(since, () => isListed(client, leaf), 10 * PAUSE));
          ocsp.push(await until(since, () => isRevoked(client, leaf), PAUSE));
        }
        const bound = (ms: number) => ({ floor: { p99: ms } });
        yield row(`revoke until OCSP says so, ${mode}`, ocsp, bound(1_000));
        yield row(`revoke until the CRL says so, ${mode}`, await Promise.all(crl), bound(60_000));
        if (mode === 'one process') {
          const leaf = await client.issue();
          const clones = await cloneCertificates(
            pki,
            leaf.serialNumber,
            rounds < 5 ? MASS / 10 : MASS,
          );
          await client.revoke(leaf, 1);
          const since = performance.now();
          const seconds: number[] = [];
          for (const serialNumber of clones)
            seconds.push(
              await until(since, () => isRevoked(client, { ...leaf, serialNumber }), 100),
            );
          const listed = await until(since, async () => allListed(client, clones), 500);
          yield {
            work: `a key with ${rounds < 5 ? '10,000' : '100,000'} certificates revoked, until OCSP says so of all`,
            unit: 's',
            value: Math.max(...seconds) / 1000,
            rounds: 1,
            floor: { value: 60 },
            details: { untilListedSeconds: listed / 1000 },
          };
        }
      } finally {
        await client.close();
      }
    } finally {
      await pki.dispose();
    }
  }
}

async function isRevoked(
  client: PkiClient,
  { issuer, serialNumber }: Pick<Leaf, 'issuer' | 'serialNumber'>,
): Promise<boolean> {
  return (await client.status(issuer, serialNumber)) === 'revoked';
}

async function isListed(client: PkiClient, { serialNumber }: Leaf): Promise<boolean> {
  return allListed(client, [serialNumber]);
}

async function allListed(client: PkiClient, serialNumbers: readonly string[]): Promise<boolean> {
  const listed = new Set<string>();
  for (const entry of readCertList(await client.crl()).entries()) listed.add(entry.serialNumber);
  return serialNumbers.every((one) => listed.has(one));
}

/** Milliseconds from `since` until it is true. */
async function until(
  since: number,
  isTrue: () => Promise<boolean>,
  pause: number,
): Promise<number> {
  await eventually(
    async () => {
      if (!(await isTrue())) throw new Error('not yet');
    },
    180_000,
    pause,
  );
  return performance.now() - since;
}

function row(
  work: string,
  times: readonly number[],
  bounds: Pick<Measurement, 'floor'>,
): Measurement {
  const sorted = [...times].sort((a, b) => a - b);
  return {
    work,
    unit: 'ms',
    value: quantile(sorted, 0.5),
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    rounds: times.length,
    ...bounds,
  };
}
