import { copyFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { CheckReport } from '@gigvault/testkit/check-pki';
import type { Mode } from '@gigvault/testkit/pki-process';
import { systemClock } from '@gigvault/time/clock';
import { type CrashWorld, type KillReport, openCrashWorld } from './crash-world.ts';
import { type Kill, planKills } from './durable-steps.ts';

/** What to run. */
export interface CrashRunOptions {
  readonly modes: readonly Mode[];
  /** In all modes together. */
  readonly kills: number;
  readonly seed: number;
  /** The PKCS #11 URI of a token for the keys, whose driver is killed as well; undefined: they are in files. */
  readonly hsm?: string | undefined;
  /** As CrashWorldOptions. */
  servingWithin(): number;
  /** Where the log of a PKI with findings is kept. */
  readonly logs: string;
  readonly say: (line: string) => void;
  /** Ends the run after the kill that is at work. */
  readonly signal: AbortSignal;
}

/** What came of it. */
export interface CrashRun {
  readonly kills: readonly KillReport[];
  readonly checks: readonly WorldCheck[];
}

/** One check, or what a world ended with. */
export interface WorldCheck extends Omit<CheckReport, 'findings'> {
  readonly mode: Mode;
  readonly seed: number;
  readonly afterKills: number;
  readonly findings: readonly string[];
}

/** A PKI is killed so often; then the next begins with a fresh one, so that a check costs the same at the end as at the beginning. */
const KILLS_OF_A_WORLD = 100;
const CHECK_EVERY = 10;

/** Kills in fresh PKIs, the modes taking turns. A world that cannot go on is a finding, and the next one begins. */
export async function runCrashes(options: CrashRunOptions): Promise<CrashRun> {
  const { modes, kills, seed, hsm, say, signal } = options;
  const run = { kills: [] as KillReport[], checks: [] as WorldCheck[] };
  const worlds = Math.ceil(kills / modes.length / KILLS_OF_A_WORLD);
  const each = Math.ceil(kills / modes.length / worlds);
  for (let n = 0; n < worlds; n++) {
    for (const mode of modes) {
      if (signal.aborted) return run;
      say(`\n${mode}, ${each} kills, seed ${seed + n}`);
      await runWorld(options, run, {
        mode,
        seed: seed + n,
        kills: planKills(mode, each, seed + n, hsm !== undefined),
      });
    }
  }
  return run;
}

async function runWorld(
  { hsm, servingWithin, logs, say, signal }: CrashRunOptions,
  run: { kills: KillReport[]; checks: WorldCheck[] },
  { mode, seed, kills }: { mode: Mode; seed: number; kills: readonly Kill[] },
): Promise<void> {
  const nothing = { certificates: 0, abandoned: 0, revoked: 0, auditLeaves: 0 };
  let world: CrashWorld | undefined;
  let done = 0;
  let found = 0;
  const tell = (findings: readonly string[]) => {
    found += findings.length;
    for (const finding of findings) say(`  FINDING ${finding}`);
  };
  const check = async (opened: CrashWorld) => {
    const report = await opened.check(done === kills.length);
    run.checks.push({ mode, seed, afterKills: done, ...report });
    say(
      `  check after ${done}: ${report.certificates} certificates, ${report.revoked} revoked, ${report.auditLeaves} leaves`,
    );
    tell(report.findings);
  };
  try {
    const flags = hsm === undefined ? [] : ['--hsm', hsm];
    world = await openCrashWorld({ mode, seed, flags, servingWithin });
    for (const kill of kills) {
      if (signal.aborted) break;
      const report = await world.kill(kill);
      run.kills.push(report);
      done++;
      say(`${clock()} ${mode} ${done}/${kills.length} ${report.title}: ${report.recovery} ms`);
      tell(report.findings);
      if (done % CHECK_EVERY === 0 || done === kills.length) await check(world);
    }
  } catch (error) {
    const finding = `the world of seed ${seed} ended: ${(error as Error).stack}`;
    tell([finding]);
    run.checks.push({ mode, seed, afterKills: done, ...nothing, findings: [finding] });
  } finally {
    if (world && found > 0) keepLog(world, join(logs, `${mode}-${seed}.log`));
    await world?.dispose();
  }
}

function keepLog({ pki }: CrashWorld, file: string): void {
  mkdirSync(dirname(file), { recursive: true });
  copyFileSync(join(pki.dataDir, 'logs', 'gigvault.log'), file);
}

function clock(): string {
  return new Date(systemClock.now()).toISOString().slice(11, 19);
}
