import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@gigvault/testkit/check-pki';
import { eventually } from '@gigvault/testkit/eventually';
import type { HttpClient } from '@gigvault/testkit/http-client';
import { lives } from '@gigvault/testkit/lives';
import type { PkiProcess } from '@gigvault/testkit/pki-process';
import { systemClock } from '@gigvault/time/clock';
import { readCertificate } from '@gigvault/x509/certificate';
import type { Kill, RandomKill, StepKill } from './durable-steps.ts';
import { DRIVER, processesOf } from './processes.ts';
import { beginRotation, type Rotation } from './rotate.ts';

/** What killing needs. */
export interface KillDeps {
  readonly pki: PkiProcess;
  readonly http: HttpClient;
  /** Of `--faults`. */
  readonly faultFile: string;
  /** Of the root. */
  readonly passphraseFile: string;
}

/** A kill that was carried out. */
export interface Executed {
  readonly deaths: number;
  /** When the last of them was, Unix ms. */
  readonly diedAt: number;
  readonly findings: string[];
  /** Resolves when the process is back for good: nothing is waited for before that. Adds to the findings who else was started again. */
  started(): Promise<void>;
}

/** Milliseconds within which the load must come by a step. */
const REACHED_WITHIN = 45_000;
const BACK_WITHIN = 60_000;
const POLL = 5;

/** Lets one process die, or two one after the other, and starts the main process again at once when it was that. */
export async function execute(deps: KillDeps, kill: Kill): Promise<Executed> {
  const before = processesOf(deps.pki);
  return 'at' in kill ? atStep(deps, kill, before) : atAnyMoment(deps, kill, before);
}

async function atStep(
  deps: KillDeps,
  { at, cause }: StepKill,
  before: ReadonlyMap<string, number>,
): Promise<Executed> {
  const findings: string[] = [];
  const faults = typeof cause === 'object' ? [cause.crash, at] : [at];
  const victims = new Set<string>();
  let start: Promise<void> = Promise.resolve();
  let diedAt = 0;
  let deaths = 0;
  let rotation: Rotation | undefined;
  arm(deps, faults[0] as string);
  for (const fault of faults) {
    if (cause === 'responder revoked') revokeResponder(deps).catch(() => undefined);
    if (cause === 'rotation') rotation = await beginRotation(deps.pki, deps.passphraseFile);
    if (!(await isReached(deps))) {
      findings.push(`${fault} was not reached`);
      break;
    }
    diedAt = systemClock.now();
    deaths++;
    const victim = deps.pki.mode === 'split' ? (fault.split('.', 1)[0] as string) : 'gigvault';
    victims.add(victim);
    // Before anybody starts again: the next step may be one of the start.
    const next = faults[deaths];
    if (next) arm(deps, next);
    if (victim === 'gigvault') {
      await deps.pki.exited();
      start = deps.pki.start();
      start.catch(() => undefined);
    }
  }
  return {
    deaths,
    diedAt: diedAt || systemClock.now(),
    findings,
    async started() {
      await back(deps, { before, victims, findings, start });
      if (rotation) findings.push(...(await rotation.finish()));
    },
  };
}

async function atAnyMoment(
  { pki }: KillDeps,
  { victim, delay }: RandomKill,
  before: ReadonlyMap<string, number>,
): Promise<Executed> {
  await systemClock.sleep(delay);
  const pid = before.get(victim);
  if (pid === undefined) throw new Error(`there is no process ${victim}`);
  process.kill(pid, 'SIGKILL');
  const diedAt = systemClock.now();
  let start: Promise<void> = Promise.resolve();
  if (victim === 'gigvault') {
    await pki.exited();
    start = pki.start();
    start.catch(() => undefined);
  }
  const findings: string[] = [];
  const victims = new Set([victim]);
  const started = () => back({ pki }, { before, victims, findings, start });
  return { deaths: 1, diedAt, findings, started };
}

/** Written beside and renamed: whoever looks finds the whole fault or none. */
function arm({ faultFile }: KillDeps, fault: string): void {
  writeFileSync(`${faultFile}.new`, fault);
  renameSync(`${faultFile}.new`, faultFile);
}

/** The process removes the file, then dies. */
async function isReached({ faultFile }: KillDeps): Promise<boolean> {
  const end = systemClock.now() + REACHED_WITHIN;
  while (existsSync(faultFile)) {
    if (systemClock.now() > end) {
      rmSync(faultFile, { force: true });
      return false;
    }
    await systemClock.sleep(POLL);
  }
  return true;
}

/** Waits for the start to end, or in split mode for the supervisor's; nobody else may have a new process. */
async function back(
  { pki }: Pick<KillDeps, 'pki'>,
  died: {
    readonly before: ReadonlyMap<string, number>;
    readonly victims: ReadonlySet<string>;
    readonly findings: string[];
    readonly start: Promise<void>;
  },
): Promise<void> {
  await died.start;
  // A start ends the database that a killed one left behind, and starts it again; the driver ends with its keymgr.
  const withAnother = (name: string) =>
    (['database', DRIVER].includes(name) && died.victims.has('gigvault')) ||
    (name === DRIVER && died.victims.has('keymgr'));
  await eventually(() => {
    const now = processesOf(pki);
    for (const [name, pid] of died.before) {
      const current = now.get(name);
      if (current === undefined || !lives(current)) throw new Error(`${name} is not back`);
      if (died.victims.has(name) && !withAnother(name) && current === pid)
        throw new Error(`${name} has not died`);
    }
  }, BACK_WITHIN);
  for (const [name, pid] of processesOf(pki))
    if (!died.victims.has(name) && !withAnother(name) && died.before.get(name) !== pid)
      died.findings.push(`${name} was started again, but ${[...died.victims].join()} died`);
}

/** The certificate with which OCSP signs is revoked: it must get another, for another key. */
async function revokeResponder({ pki, http }: KillDeps): Promise<void> {
  const api = `${pki.publicUrl}/service/api/v1`;
  const folder = join(pki.home, 'config', 'gigvault', 'contexts', 'local');
  const clientSecret = readFileSync(join(folder, 'api-key'), 'utf8').trim();
  const post = (path: string, body: object, headers = {}) =>
    http.fetch(api + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  const token = await post('/token', { grantType: 'client_credentials', clientSecret });
  const authorization = `Bearer ${token.json<{ accessToken: string }>().accessToken}`;
  const serialNumber = await responderSerial(pki);
  const answer = await post(
    `/certificates/${serialNumber}/revoke`,
    { reason: 'superseded' },
    { authorization },
  );
  if (answer.status >= 300) throw new Error(`${answer.status}: ${answer.text}`);
}

async function responderSerial(pki: PkiProcess): Promise<string> {
  const database = await connect(pki);
  try {
    const { rows } = await database.query<{ certificate: Buffer }>(
      `SELECT responder.certificate FROM ocsp.responder JOIN ca.issuer USING (issuer_id)
        WHERE line = 'issuing' AND state = 'current'`,
    );
    return readCertificate(rows[0]?.certificate as Buffer).serialNumber;
  } finally {
    await database.end();
  }
}
