import { createHash } from 'node:crypto';
import type { Mode } from '@gigvault/testkit/pki-process';
import { DRIVER } from './processes.ts';

/** What makes a step happen that the load alone does not: a crash before it, the end of a responder certificate, or a CA's new key. */
type Cause = { readonly crash: Fault } | 'responder revoked' | 'rotation';

/** A durable step, and the moment at which its process dies: as the file of `--faults` holds it. */
type Fault = `${string}.${string}:${'before' | 'after'}`;

interface CrashStep {
  readonly step: `${string}.${string}`;
  readonly cause?: Cause;
}

/** An intent that nobody signed: its signing is closed, and its serial number counts as revoked. */
const UNSIGNED: Cause = { crash: 'ca.intent:after' };

/** Every durable step of issuance, revocation, CRL publication, OCSP-certificate renewal, audit append and the rotation of a CA's key. */
export const CRASH_STEPS: readonly CrashStep[] = [
  { step: 'ra.authorizations' },
  { step: 'enroll.order' },
  { step: 'ra.challenge' },
  { step: 'ra.authorization' },
  { step: 'enroll.finalize' },
  { step: 'ra.request' },
  { step: 'ca.intent' },
  { step: 'keymgr.signature' },
  { step: 'ca.certificate' },
  { step: 'ra.issued' },
  { step: 'enroll.order-valid' },
  { step: 'keymgr.tombstone', cause: UNSIGNED },
  { step: 'ca.abandonment', cause: UNSIGNED },
  { step: 'enroll.revoke' },
  { step: 'ca.revocation' },
  { step: 'ca.revocation-by-key' },
  { step: 'ocsp.consume' },
  { step: 'crl.consume' },
  { step: 'crl.issuers', cause: { crash: 'crl.published:after' } },
  { step: 'crl.intent' },
  { step: 'crl.published' },
  { step: 'crl.abandoned', cause: { crash: 'crl.intent:after' } },
  { step: 'keymgr.key', cause: 'responder revoked' },
  { step: 'ocsp.responder', cause: 'responder revoked' },
  { step: 'ca.rotation', cause: 'rotation' },
  { step: 'ca.issuer', cause: 'rotation' },
  { step: 'ca.issuer-confirmed', cause: 'rotation' },
  { step: 'ca.issuer-switched', cause: 'rotation' },
  { step: 'keymgr.usage' },
  { step: 'audit.consume' },
  { step: 'audit.checkpoint' },
];

/** SIGKILL at a durable step. */
export interface StepKill {
  readonly at: Fault;
  readonly cause?: Cause;
}

/** SIGKILL of a process some milliseconds after the last one was mended. */
export interface RandomKill {
  readonly victim: string;
  readonly delay: number;
}

/** One kill; a StepKill whose cause is a crash is two. */
export type Kill = StepKill | RandomKill;

/** How many processes die by it. */
export function deathsOf(kill: Kill): number {
  return 'cause' in kill && typeof kill.cause === 'object' ? 2 : 1;
}

/** As in tables and names of tests. */
export function titleOf(kill: Kill): string {
  return 'at' in kill ? kill.at : `any moment: ${kill.victim}`;
}

const LONGEST_DELAY = 1_500;
/** Every so many random kills one is of the database. */
const DATABASE_EVERY = 8;
/** And of the token's driver, when the keys are in one. */
const DRIVER_EVERY = 3;
const MOMENTS = ['before', 'after'] as const;
const SERVICES = 'auth keymgr ca policy ra enroll ocsp crl audit notify edge'.split(' ');

/**
 * About `count` kills, the same for the same seed: half of them, or as many as there are moments before and after a step, are at
 * durable steps, each moment as often as the others; the rest are random. When there are too few for all moments, each step is
 * killed at once: before it in one mode, after it in the other.
 * @param hsm whether there is a driver to kill
 */
export function planKills(mode: Mode, count: number, seed: number, hsm = false): Kill[] {
  const random = randomNumbers(`${mode}/${seed}`);
  const all = CRASH_STEPS.flatMap((step) => MOMENTS.map((moment) => stepKill(step, moment)));
  const rounds = Math.floor(count / 2 / all.length);
  const kills: Kill[] =
    rounds > 0 || count > 2 * CRASH_STEPS.length
      ? Array.from({ length: Math.max(1, rounds) }, () => all).flat()
      : CRASH_STEPS.map((step, i) =>
          stepKill(step, MOMENTS[(i + seed + (mode === 'split' ? 1 : 0)) % 2] as 'before'),
        );
  let deaths = kills.reduce((sum, kill) => sum + deathsOf(kill), 0);
  for (let n = 1; deaths < count; n++, deaths++) kills.push(randomKill(mode, n, random, hsm));
  return shuffled(kills, random);
}

function stepKill({ step, cause }: CrashStep, moment: 'before' | 'after'): StepKill {
  return { at: `${step}:${moment}`, ...(cause === undefined ? {} : { cause }) };
}

function randomKill(mode: Mode, n: number, random: () => number, hsm: boolean): RandomKill {
  const delay = Math.floor(random() * LONGEST_DELAY);
  if (n % DATABASE_EVERY === 1) return { victim: 'database', delay };
  if (hsm && n % DRIVER_EVERY === 0) return { victim: DRIVER, delay };
  const service = SERVICES[Math.floor(random() * SERVICES.length)] as string;
  return { victim: mode === 'split' ? service : 'gigvault', delay };
}

function shuffled<T>(values: readonly T[], random: () => number): T[] {
  return values
    .map((value) => ({ value, place: random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ value }) => value);
}

/** Numbers from 0 to 1, the same for the same seed. */
export function randomNumbers(seed: string): () => number {
  let n = 0;
  return () => createHash('sha256').update(`${seed}/${n++}`).digest().readUInt32BE() / 2 ** 32;
}
