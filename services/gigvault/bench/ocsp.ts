import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type PkiProcess, REPOSITORY, startPki } from '@gigvault/testkit/pki-process';
import { runOrFail } from '@gigvault/testkit/run-program';
import { buildOcspRequest } from '@gigvault/x509/ocsp-client';
import { type CpuMeter, cpuOf } from './cpu.ts';
import { type Effort, type Measurement, type Round, rateOf } from './measurement.ts';
import { type Leaf, pkiClient } from './pki-client.ts';

const CERTIFICATES = 100;
/** Of wrk. */
export const CONNECTIONS = 64;
const LUA = join(REPOSITORY, 'services/gigvault/bench/ocsp.lua');
/** Octets of a nonce, which ocsp.lua replaces. */
const NONCE = Buffer.alloc(32, 0xff);

/** One kind of request: what wrk sends, and the row. */
interface Load {
  readonly about: Pick<Measurement, 'work' | 'floor' | 'goal'>;
  readonly lines: readonly string[];
}

/**
 * OCSP as strangers ask, over plain HTTP with keep-alive and no pipelining: the responder on one core with all that runs beside it in the
 * process, `wrk` on the other. Every answer is counted by what it says: one that is not `good` fails the bench.
 */
export async function* benchOcsp(effort: Effort): AsyncIterable<Measurement> {
  const pki = await startPki('one process', '--encode-in-process', 'false');
  try {
    const leaves = await issueGood(pki);
    const { pid } = JSON.parse(readFileSync(join(pki.dataDir, 'run.json'), 'utf8')) as {
      pid: number;
    };
    await runOrFail('taskset', ['-acp', '0', String(pid)]);
    const responder = responderOf(pki, [pid]);
    for (const load of loadsOf(leaves)) {
      const rounds: Round[] = [];
      await ocspRound(responder, load.lines, 1_000);
      for (let i = 0; i < effort.rounds; i++)
        rounds.push(await ocspRound(responder, load.lines, effort.roundMs));
      yield rateOf(rounds, { ...load.about, concurrency: CONNECTIONS });
    }
  } finally {
    await pki.dispose();
  }
}

function loadsOf(leaves: readonly Leaf[]): Load[] {
  const plain = leaves.map(({ issuer, serialNumber }) => buildOcspRequest(issuer, serialNumber));
  return [
    {
      about: {
        work: 'OCSP pre-signed (GET), one core',
        floor: { value: 40_000 },
        goal: { value: 60_000, p99: 5 },
      },
      lines: plain.map((der) => `GET /ocsp/${encodeURIComponent(der.toString('base64'))}`),
    },
    {
      about: {
        work: 'OCSP signed on demand (nonce), one core',
        floor: { value: 12_000 },
        goal: { value: 20_000 },
      },
      lines: noncedLines(leaves),
    },
  ];
}

/** Lines of ocsp.lua: a POST for each, with another nonce each time. */
export function noncedLines(leaves: readonly Pick<Leaf, 'issuer' | 'serialNumber'>[]): string[] {
  return leaves.map(
    ({ issuer, serialNumber }) =>
      `POST ${buildOcspRequest(issuer, serialNumber, NONCE).toString('hex')}`,
  );
}

/** Certificates of which OCSP says good, with and without nonce, before the clock runs. */
export async function issueGood(pki: PkiProcess): Promise<Leaf[]> {
  const client = await pkiClient(pki);
  try {
    const leaves: Leaf[] = [];
    while (leaves.length < CERTIFICATES) leaves.push(await client.issue());
    for (const { issuer, serialNumber } of leaves) {
      for (const nonce of [undefined, randomBytes(32)]) {
        const said = await client.status(issuer, serialNumber, nonce);
        if (said !== 'good') throw new Error(`OCSP says ${said} of a good certificate`);
      }
    }
    return leaves;
  } finally {
    await client.close();
  }
}

interface WrkResult {
  readonly requests: number;
  readonly microseconds: number;
  readonly octets: number;
  readonly failed: number;
  /** Microseconds. */
  readonly p50: number;
  readonly p99: number;
}

/** Who is asked. */
export interface OcspResponder {
  /** As `http://localhost:8080`. */
  readonly url: string;
  /** For the file of requests. */
  readonly folder: string;
  readonly cpu: CpuMeter;
}

/** The responder of a PKI. @param pids those that answer */
export function responderOf(pki: PkiProcess, pids: readonly number[]): OcspResponder {
  return { url: pki.statusUrl, folder: pki.home, cpu: cpuOf(pids, pki.dataDir) };
}

/** A round of wrk on the second core. @param lines of ocsp.lua */
export async function ocspRound(
  { url, folder, cpu: meter }: OcspResponder,
  lines: readonly string[],
  ms: number,
): Promise<Round> {
  const file = join(folder, 'requests');
  writeFileSync(file, `${lines.join('\n')}\n`);
  const used = meter();
  const printed = await runOrFail('taskset', [
    ...[
      '-c',
      '1',
      'wrk',
      '--timeout',
      '10s',
      '--threads',
      '1',
      '--connections',
      String(CONNECTIONS),
    ],
    ...['--duration', `${Math.max(1, Math.round(ms / 1000))}s`, '--script', LUA, url, '--', file],
  ]);
  const cpu = used();
  const result = JSON.parse(/^JSON (.*)$/m.exec(printed)?.[1] ?? '') as WrkResult;
  const { requests, octets, failed } = result;
  // An answer that is only a refusal (tryLater) has 5 octets.
  if (failed > 0 || !(octets / requests >= 400))
    throw new Error(`OCSP fails under load: ${JSON.stringify(result)}`);
  return {
    perSecond: requests / (result.microseconds / 1e6),
    cpu: { node: cpu.node / requests, postgres: (cpu.postgres ?? 0) / requests },
    p50: result.p50 / 1000,
    p99: result.p99 / 1000,
  };
}
