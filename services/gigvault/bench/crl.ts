import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@gigvault/testkit/check-pki';
import { eventually } from '@gigvault/testkit/eventually';
import { type PkiProcess, startPki } from '@gigvault/testkit/pki-process';
import { encodeCrlEntry, readCertList } from '@gigvault/x509/crl';
import { type Effort, type Measurement, megabytes } from './measurement.ts';
import { type PkiClient, pkiClient } from './pki-client.ts';
import { median } from './statistics.ts';

const ENTRIES = 1_000_000;

/** What one CRL cost. */
interface Refresh {
  readonly milliseconds: number;
  /** Most resident memory of the process meanwhile. */
  readonly mebibytes: number;
}

/**
 * A CRL from the moment that it is due until it is served: the whole suite in one process, real keymgr and PostgreSQL. First a shard with a
 * handful of entries, then one with a million. The time is the service's own: from thisUpdate's transaction to the file being served.
 */
export async function* benchCrl({ rounds }: Effort): AsyncIterable<Measurement> {
  const coalesce = ['--crl-coalesce', '100ms'];
  const pki = await startPki('one process', '--encode-in-process', 'false', ...coalesce);
  try {
    const client = await pkiClient(pki);
    try {
      const of = (all: readonly Refresh[], key: keyof Refresh) =>
        median(all.map((one) => one[key]));
      const small = await refreshes(pki, client, rounds);
      yield {
        work: "one shard's refresh, a handful of entries",
        unit: 'ms',
        value: of(small, 'milliseconds'),
        rounds,
        goal: { value: 50 },
      };
      await fill(pki);
      const large = await refreshes(pki, client, rounds);
      yield {
        work: 'CRL of 1,000,000 entries, one process',
        unit: 's',
        value: of(large, 'milliseconds') / 1000,
        rounds,
        floor: { value: 1 },
        goal: { value: 0.7 },
      };
      yield {
        work: 'peak memory meanwhile, the database apart',
        unit: 'MiB',
        value: of(large, 'mebibytes'),
        rounds,
        floor: { value: megabytes(400) },
        goal: { value: megabytes(300) },
      };
    } finally {
      await client.close();
    }
  } finally {
    await pki.dispose();
  }
}

/** The first is not counted: it compiles. */
async function refreshes(pki: PkiProcess, client: PkiClient, rounds: number): Promise<Refresh[]> {
  const all: Refresh[] = [];
  for (let round = 0; round <= rounds; round++) all.push(await refresh(pki, client));
  return all.slice(1);
}

/** Revokes one more, and waits for the CRL that this makes due. */
async function refresh(pki: PkiProcess, client: PkiClient): Promise<Refresh> {
  const { pid } = JSON.parse(readFileSync(join(pki.dataDir, 'run.json'), 'utf8')) as {
    pid: number;
  };
  const leaf = await client.issue();
  const before = readCertList(await client.crl()).crlNumber;
  const made = await generations(pki);
  // Linux: forgets the peak so far.
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
  await client.revoke(leaf, 4);
  const now = await eventually(async () => {
    const after = await generations(pki);
    if (after.count <= made.count) throw new Error('no CRL yet');
    return after;
  }, 60_000);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  if (readCertList(await client.crl()).crlNumber <= before)
    throw new Error('the old CRL is served');
  return {
    milliseconds: ((now.seconds - made.seconds) * 1000) / (now.count - made.count),
    mebibytes: Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024,
  };
}

/** How many CRLs the service has made and how long all of them took, as its metrics say. */
async function generations(pki: PkiProcess): Promise<{ count: number; seconds: number }> {
  const url = /^ {2}Metrics +(\S+)$/m.exec(pki.output())?.[1] ?? '';
  const { httpClient } = await import('@gigvault/testkit/http-client');
  const http = httpClient(readFileSync(pki.rootFile));
  try {
    const { text } = await http.fetch(url);
    const read = (what: string) =>
      Number(
        new RegExp(`^gigvault_crl_generation_duration_seconds_${what} (\\S+)$`, 'm').exec(
          text,
        )?.[1] ?? 0,
      );
    return { count: read('count'), seconds: read('sum') };
  } finally {
    http.close();
  }
}

/** A million revocations, as the service records them. The serial number is at octets 4 to 19 of an entry. */
async function fill(pki: PkiProcess): Promise<void> {
  const database = await connect(pki);
  const revokedAt = Date.now();
  const sample = encodeCrlEntry({ serialNumber: '7f'.repeat(16), revokedAt, reasonCode: 1 });
  try {
    await database.query('SET statement_timeout = 0');
    await database.query(
      `INSERT INTO crl.revoked (issuer_id, serial_number, crl_shard, first_number, revoked_at, reason_code, not_after, entry)
       SELECT 'issuing', encode(serial, 'hex'), 0, 1, $2, 1, $2::bigint + 86400000, substr($3::bytea, 1, 4) || serial || substr($3::bytea, 21)
         FROM (SELECT substr('\\x7f'::bytea || sha256(int8send(n)), 1, 16) AS serial FROM generate_series(1, $1::bigint) AS n) AS s`,
      [ENTRIES, revokedAt, sample],
    );
    await database.query('ANALYZE crl.revoked');
    await database.query('CHECKPOINT');
  } finally {
    await database.end();
  }
}
