import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AcmeClient, createAcmeClient } from '@gigvault/testkit/acme-client';
import { type CheckReport, checkPki } from '@gigvault/testkit/check-pki';
import { eventually } from '@gigvault/testkit/eventually';
import { type Http01Responder, startHttp01Responder } from '@gigvault/testkit/http-01-responder';
import { type HttpClient, httpClient } from '@gigvault/testkit/http-client';
import { type Mode, type PkiProcess, startPki } from '@gigvault/testkit/pki-process';
import { systemClock } from '@gigvault/time/clock';
import { passphraseFile } from '../root-passphrase.ts';
import { type Kill, randomNumbers, titleOf } from './durable-steps.ts';
import { execute, type KillDeps } from './execute-kill.ts';
import { type Load, orderCertificate, PATIENCE, startLoad } from './load.ts';
import { createOracle, type Oracle } from './oracle.ts';
import { askOcsp, type RelyingParty } from './relying-party.ts';

/** What a world is made with. */
export interface CrashWorldOptions {
  readonly mode: Mode;
  readonly seed: number;
  /** Of `up`, besides its own. */
  readonly flags?: readonly string[];
  /** Milliseconds from a death until a fresh issuance succeeds and OCSP answers: more is a finding. */
  servingWithin(): number;
}

/** What became of one kill. */
export interface KillReport {
  readonly mode: Mode;
  readonly title: string;
  readonly deaths: number;
  /** Milliseconds from the (last) death until everything served again. */
  readonly recovery: number;
  readonly findings: readonly string[];
}

/** A PKI under load whose processes die one after the other. */
export interface CrashWorld {
  readonly pki: PkiProcess;
  /** Kills, starts again what does not start by itself, and waits until everything serves. */
  kill(kill: Kill): Promise<KillReport>;
  /** Holds the load, waits until all is settled, and checks everything; the load goes on then. @param strict as in CheckOptions */
  check(strict: boolean): Promise<CheckReport>;
  /** The certificates that clients have, and how many of them are known to be revoked. */
  counts(): { readonly certificates: number; readonly revoked: number };
  /** Ends everything. */
  dispose(): Promise<void>;
}

/** Revocations are on the CRL at once. */
const FLAGS = ['--crl-coalesce', '200ms'];
/** Certificates that wait for nothing but a busy machine. */
const GIVE_UP = 60_000;

/** Starts a fresh PKI and the load on it. */
export async function openCrashWorld(options: CrashWorldOptions): Promise<CrashWorld> {
  const folder = mkdtempSync(join(tmpdir(), 'gv-fault-'));
  const faultFile = join(folder, 'fault');
  const pki = await startPki(
    options.mode,
    ...FLAGS,
    ...(options.flags ?? []),
    ...['--faults', faultFile],
  );
  const opened: (() => unknown)[] = [
    () => rmSync(folder, { recursive: true }),
    () => pki.dispose(),
  ];
  try {
    const parts = await populate(options, pki, opened);
    return createWorld(
      { ...options, pki, faultFile, passphraseFile: passphraseFile(pki), ...parts },
      opened,
    );
  } catch (error) {
    await undo(opened);
    throw error;
  }
}

interface Parts {
  readonly http: HttpClient;
  readonly oracle: Oracle;
  readonly findings: string[];
  readonly well: { since: number };
  readonly relyingParty: RelyingParty;
  readonly prober: AcmeClient;
  readonly load: Load;
}

async function populate(
  { seed, servingWithin: within }: CrashWorldOptions,
  pki: PkiProcess,
  opened: (() => unknown)[],
): Promise<Parts> {
  const http = httpClient(readFileSync(pki.rootFile));
  opened.push(() => http.close());
  const responder: Http01Responder = await startHttp01Responder(pki.ports.http01);
  opened.push(() => responder.stop());
  const findings: string[] = [];
  const found = (finding: string) => void findings.push(finding);
  const well = { since: systemClock.now() };
  const { statusUrl, publicUrl } = pki;
  const allWellSince = () => well.since;
  const crlNumbers = new Map<string, bigint>();
  const relyingParty = { http, statusUrl, within, allWellSince, found, crlNumbers };
  const oracle = createOracle();
  const prober = await createAcmeClient({ http, publicUrl, responder, patience: PATIENCE });
  const random = randomNumbers(`load/${pki.mode}/${seed}`);
  const load = await startLoad({ pki, http, responder, oracle, relyingParty, random, found });
  opened.push(() => load.stop());
  return { http, oracle, findings, well, relyingParty, prober, load };
}

function createWorld(
  world: CrashWorldOptions & Parts & KillDeps,
  opened: (() => unknown)[],
): CrashWorld {
  const { mode, pki, findings, well, oracle, load, servingWithin } = world;
  let probes = 0;

  /** A certificate that was asked for after the death, OCSP's word on it, and everybody's readiness. */
  async function serves(): Promise<void> {
    const name = `probe-${++probes}.localhost`;
    const certificate = await orderCertificate(world.prober, oracle, name);
    await eventually(
      async () => {
        const status = await askOcsp(world.relyingParty, certificate);
        if (status !== 'good') throw new Error(`OCSP says ${status} of ${name}`);
        const ready = await world.http.fetch(`${pki.publicUrl}/ready`);
        if (ready.status !== 200) throw new Error(`/ready answers ${ready.status}`);
      },
      GIVE_UP,
      20,
    );
  }

  return {
    pki,
    async kill(kill) {
      well.since = Number.POSITIVE_INFINITY;
      const { deaths, diedAt, started, findings: own } = await execute(world, kill);
      await serves();
      const recovery = systemClock.now() - diedAt;
      await started();
      well.since = systemClock.now();
      if (recovery > servingWithin()) own.push(`serving again took ${recovery} ms`);
      return {
        mode,
        title: titleOf(kill),
        deaths,
        recovery,
        findings: [...own, ...findings.splice(0)],
      };
    },
    async check(strict) {
      await load.pause();
      try {
        const report = await checkPki(pki, { acknowledged: oracle.acknowledged(), strict });
        return { ...report, findings: [...findings.splice(0), ...report.findings] };
      } finally {
        load.resume();
      }
    },
    counts: () => ({
      certificates: oracle.all().length,
      revoked: oracle.all().filter(({ revokedAt }) => revokedAt !== undefined).length,
    }),
    dispose: () => undo(opened),
  };
}

async function undo(opened: (() => unknown)[]): Promise<void> {
  for (const close of opened.splice(0).reverse()) await close();
}
