import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { stringify } from 'yaml';
import { answeringOperator, parseAnswers } from '../adapters/answering-operator.ts';
import { folderFiles } from '../adapters/folder-files.ts';
import { memoryKeyKeeper } from '../adapters/memory-key-keeper.ts';
import { tokenKeyKeeper } from '../adapters/token-key-keeper.ts';
import type { Check } from '../ceremony/check.ts';
import { ROOT_FILES } from '../ceremony/root-files.ts';
import { type Custody, numberedCustody, type Plan, parsePlan, standardPlan } from '../plan/plan.ts';
import type { Operator } from '../ports/operator.ts';
import type { Room } from '../ports/room.ts';
import type { CeremonyOrder } from '../sitting/ceremony-order.ts';
import { holdCeremony } from '../sitting/hold-ceremony.ts';
import { rehearsalPlan, rehearsalRequest, requireRealPlan } from '../sitting/rehearsal.ts';
import { ceremonyVerify } from './ceremony-verify.ts';
import { type CommandDeps, readText, writeNew } from './root-directory.ts';

/** Flags of `init --ceremony`. */
export interface CeremonyOptions {
  readonly plan: string;
  readonly out: string;
  /** Default: the plan's folder. */
  readonly requests?: string;
  /** Default: `bundle` in `out`. */
  readonly bundle?: string;
  /** For a plan without custody. */
  readonly shares?: string;
  readonly threshold?: string;
  readonly hsm?: string;
  readonly rehearse?: boolean;
  readonly answers?: string;
}

/** Flags of `init` without a ceremony. */
export interface PlanOptions {
  readonly plan: string;
  readonly organization?: string;
  readonly trustDomain?: string;
  readonly statusUrl?: string;
  readonly holder?: readonly string[];
  readonly threshold?: string;
}

/** What a ceremony needs of its surroundings. */
export interface InitDeps extends CommandDeps {
  readonly room: Room;
}

/**
 * `init --ceremony`: the key ceremony of a plan, or the rest of one that was begun in `out`. Returns what a stranger would say of the bundle.
 * Errors: those of holdCeremony; NOT_FOUND for a file; INVALID_ARGUMENT for a plan without custody.
 */
export async function initCeremony(
  options: CeremonyOptions,
  { clock, operator, room }: InitDeps,
): Promise<readonly Check[]> {
  const bundle = options.bundle ?? join(options.out, 'bundle');
  const order = orderOf(options);
  if (resolve(bundle) === resolve(options.out)) {
    refuse('--bundle is what travels, --out stays here with the key: take two folders.');
  }
  return holdCeremony(order, {
    clock,
    room,
    operator: await answered(operator, options.answers, order.isRehearsal),
    files: folderFiles(options.out, 0o700),
    bundle: folderFiles(bundle, 0o755),
    keeper:
      options.hsm === undefined
        ? memoryKeyKeeper()
        : tokenKeyKeeper(options.hsm, order.isRehearsal),
    verify: () => ceremonyVerify(bundle, { isRehearsal: order.isRehearsal }, clock),
  });
}

function orderOf(options: CeremonyOptions): CeremonyOrder {
  const text = readText(options.plan);
  const real = parsePlan(text);
  const isRehearsal = options.rehearse === true;
  requireRealPlan(real);
  const plan = isRehearsal ? rehearsalPlan(real) : real;
  const requests = options.requests ?? dirname(options.plan);
  return {
    plan,
    planText: isRehearsal ? stringify(plan) : text,
    custody: custodyOf(real, options),
    isRehearsal,
    request: async (kind) =>
      isRehearsal ? rehearsalRequest(plan, kind) : readText(join(requests, `${kind}.csr`)),
  };
}

function custodyOf({ custody }: Plan, { shares, threshold }: CeremonyOptions): Custody {
  const given = shares !== undefined || threshold !== undefined;
  if (custody !== undefined && given) {
    refuse('The plan says who holds the shares: leave --shares and --threshold away.');
  }
  return custody ?? numberedCustody(Number(shares), Number(threshold));
}

async function answered(
  people: Operator,
  file: string | undefined,
  isRehearsal: boolean,
): Promise<Operator> {
  if (file === undefined) return people;
  const text = readText(file);
  const answers = parseAnswers(text);
  if (answers.shareFolder !== undefined) {
    if (!isRehearsal) {
      // Whoever has the folder has all the shares, and the transcript would say that holders read them back.
      refuse('shareFolder is for rehearsals: real shares are shown to their holders only.');
    }
    await mkdir(answers.shareFolder, { recursive: true, mode: 0o700 });
  }
  return answeringOperator(answers, text, people);
}

/**
 * `init` without a ceremony: writes a plan, for people to look at and change. Returns what to print. Errors: INVALID_ARGUMENT, ALREADY_EXISTS: a
 * plan is never overwritten.
 */
export async function initPlan(options: PlanOptions): Promise<string> {
  const { plan: path, organization, trustDomain, statusUrl, holder, threshold } = options;
  if (organization === undefined || trustDomain === undefined || statusUrl === undefined) {
    return refuse(
      'init writes a plan, from --organization, --trust-domain and --status-url; with --ceremony it carries one out. A PKI on this machine alone: gigvault up.',
    );
  }
  if (existsSync(path)) {
    throw new GigvaultError('ALREADY_EXISTS', `${path} exists already: a plan is not overwritten.`);
  }
  const custody = holder && { holders: [...holder], threshold: Number(threshold) };
  const plan = standardPlan({
    organization,
    trustDomain,
    statusUrl,
    ...(custody && { custody }),
  });
  await mkdir(dirname(path), { recursive: true });
  await writeNew(path, stringify(plan));
  const folder = dirname(path);
  const shares = custody === undefined ? ' --shares 5 --threshold 3' : '';
  return [
    `plan  ${path}`,
    'Look at it and change it now. Then, on the machine that will serve:',
    `  gigvault up --offline-root ${folder} --trust-domain ${trustDomain} --status-public-url ${statusUrl}`,
    `and with ${folder}, ${ROOT_FILES.plan} in it, on the machine without a network:`,
    `  gigvault init --ceremony --plan plan.yaml --out <folder>${shares}`,
  ].join('\n');
}

function refuse(why: string): never {
  throw new GigvaultError('INVALID_ARGUMENT', why);
}
