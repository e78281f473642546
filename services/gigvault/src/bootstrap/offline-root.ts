import { hash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { writeFileDurably } from '@gigvault/files/durable-file';
import type { Hierarchy } from '@gigvault/rootca/ceremony/check-hierarchy';
import { searchPrivateKeys } from '@gigvault/rootca/ceremony/private-key-files';
import { HIERARCHY_FILES, REQUEST_FILES, ROOT_FILES } from '@gigvault/rootca/ceremony/root-files';
import { ceremonyVerify, isCeremony } from '@gigvault/rootca/commands/ceremony-verify';
import { transcriptFiles } from '@gigvault/rootca/commands/recorded-steps';
import { readPem, readText } from '@gigvault/rootca/commands/root-directory';
import { type Plan, parsePlan, planHash } from '@gigvault/rootca/plan/plan';
import { systemClock } from '@gigvault/time/clock';
import { readCertificate } from '@gigvault/x509/certificate';
import { readCertList } from '@gigvault/x509/crl';
import { toPem } from '@gigvault/x509/pem';
import { stringify } from 'yaml';
import type { CaRequest } from './ca-keys.ts';
import { RootAwaited } from './root-awaited.ts';
import { type FileProblem, refuseProblems } from './store-hierarchy.ts';

const PARTS = Object.keys(HIERARCHY_FILES) as (keyof Hierarchy)[];

/** True when CAs were asked for that a root elsewhere has not signed yet. `root` is the installation's root directory. */
export function isRootAwaited(root: string): boolean {
  return (
    existsSync(join(root, REQUEST_FILES.issuing)) && !existsSync(join(root, ROOT_FILES.certificate))
  );
}

/**
 * The folder that goes to the root's machine and back, once it is clear that its files belong to this installation. Makes nothing.
 * Errors: INVALID_ARGUMENT saying which file is one too many, and why.
 */
export function openOfflineFolder(given: string | undefined, root: string): string {
  if (given === undefined)
    refuse(
      `This data directory has asked for CAs that an offline root signs: start with --offline-root <folder>. For a root of its own, take an empty data directory.`,
    );
  const folder = resolve(given);
  refuseRootKey(folder);
  const isAwaited = isRootAwaited(root);
  for (const file of Object.values(REQUEST_FILES)) {
    const path = join(folder, file);
    if (!existsSync(path)) continue;
    const mine = isAwaited && readFileSync(join(root, file)).equals(readFileSync(path));
    if (!mine) refuse(`${path} was not written by this data directory. Take an empty folder.`);
  }
  if (!isAwaited && signedParts(folder).length > 0)
    refuse(
      `${folder} holds certificates, but this data directory has not asked for any. Is it the right one?`,
    );
  return folder;
}

/** Whoever copies the whole of a root's directory brings its key along. */
function refuseRootKey(folder: string): void {
  if (!existsSync(folder)) return;
  const [found] = searchPrivateKeys(folder).found;
  if (found === undefined) return;
  const is = basename(found) === ROOT_FILES.key ? "is the root's key" : 'holds a private key';
  refuse(
    `${join(folder, found)} ${is}. That of the root belongs on the offline machine only: erase it here, and make a new root if others may have read it. Any other key belongs into another folder.`,
  );
}

/** The parts that the root's machine has put there. */
export function signedParts(folder: string): (keyof Hierarchy)[] {
  return PARTS.filter((part) => existsSync(join(folder, HIERARCHY_FILES[part])));
}

/**
 * The plan that the root signs by: the one that was asked with, else the folder's, else `standard`.
 * Errors: INVALID_ARGUMENT when the folder's was changed after the keys were made, or is not a plan.
 */
export function offlinePlan(folder: string, root: string, standard: () => Plan): Plan {
  const path = join(folder, ROOT_FILES.plan);
  const given = existsSync(path) ? parsePlan(readText(path)) : undefined;
  if (!isRootAwaited(root)) return given ?? standard();
  const asked = parsePlan(readText(join(root, ROOT_FILES.plan)));
  if (given !== undefined && planHash(given) !== planHash(asked))
    refuse(
      `${path} was changed after the CAs' keys were made for it. Remove it to get the old one back; for another plan, take an empty data directory.`,
    );
  return asked;
}

/** Puts the plan and the requests there. Repeated, it writes the same files. Errors: INVALID_ARGUMENT for a folder that cannot be written. */
export async function askOfflineRoot(
  folder: string,
  root: string,
  asked: {
    readonly plan: Plan;
    readonly requests: Readonly<Record<keyof typeof REQUEST_FILES, CaRequest>>;
    /** As `the token`. */
    readonly keysIn: string;
  },
): Promise<RootAwaited> {
  const { plan, requests, keysIn } = asked;
  const files = new Map<string, string>([[ROOT_FILES.plan, stringify(plan)]]);
  for (const kind of ['services', 'issuing'] as const)
    files.set(REQUEST_FILES[kind], toPem('CERTIFICATE REQUEST', requests[kind].request));
  // Its own copy first: from then on this plan and these requests are what counts.
  if (!isRootAwaited(root)) await writeFiles(root, files);
  try {
    await mkdir(folder, { recursive: true });
    for (const name of files.keys())
      if (!existsSync(join(folder, name)))
        await writeFileDurably(join(folder, name), readText(join(root, name)), 0o644);
  } catch (cause) {
    const why = `The folder ${folder} cannot be used: ${(cause as Error).message}`;
    throw new GigvaultError('INVALID_ARGUMENT', why, { cause });
  }
  return new RootAwaited(instructions(folder, plan, keysIn));
}

async function writeFiles(folder: string, files: ReadonlyMap<string, string>): Promise<void> {
  for (const [name, content] of files) await writeFileDurably(join(folder, name), content, 0o644);
}

/** What was brought back, unchecked, and the transcripts with it. Errors: INVALID_ARGUMENT with a problem for each file that is missing or unreadable. */
export function readHierarchy(folder: string): {
  readonly hierarchy: Hierarchy;
  readonly transcripts: ReadonlyMap<string, string>;
} {
  const problems: FileProblem[] = [];
  const attempt = <T>(pointer: string, read: (path: string) => T): T => {
    const path = join(folder, pointer);
    try {
      return read(path);
    } catch (error) {
      const message = existsSync(path) ? (error as Error).message : 'is missing';
      problems.push({ pointer, message });
      // Not looked at: what has problems is refused below.
      return undefined as T;
    }
  };
  const certificate = (path: string) => readCertificate(readPem(path, 'CERTIFICATE'));
  const hierarchy: Hierarchy = {
    root: attempt(HIERARCHY_FILES.root, certificate),
    issuing: attempt(HIERARCHY_FILES.issuing, certificate),
    services: attempt(HIERARCHY_FILES.services, certificate),
    rootCrl: attempt(HIERARCHY_FILES.rootCrl, (path) => readCertList(readPem(path, 'X509 CRL'))),
  };
  refuseProblems(`What ${folder} holds`, problems);
  const transcripts = new Map(
    transcriptFiles(folder).map((name) => [name, readText(join(folder, name))]),
  );
  return { hierarchy, transcripts };
}

/**
 * What `gigvault ceremony verify` says against a folder that a key ceremony has left, and what its transcript has the sums of, to the letter; nothing of any
 * other folder.
 */
export function ceremonyPapers(folder: string): {
  readonly problems: readonly FileProblem[];
  readonly papers: ReadonlyMap<string, string>;
} {
  if (!isCeremony(folder)) return { problems: [], papers: new Map() };
  const problems = ceremonyVerify(folder, {}, systemClock).flatMap(({ what, problem }) =>
    problem === undefined ? [] : [{ pointer: what, message: problem }],
  );
  const there = [ROOT_FILES.plan, ROOT_FILES.record].filter((name) =>
    existsSync(join(folder, name)),
  );
  return { problems, papers: new Map(there.map((name) => [name, readText(join(folder, name))])) };
}

function instructions(folder: string, { custody }: Plan, keysIn: string): string {
  const sum = (file: string) => hash('sha256', readFileSync(join(folder, file)), 'hex');
  const shares = custody === undefined ? ' --shares 5 --threshold 3' : '';
  const asked = [ROOT_FILES.plan, ...Object.values(REQUEST_FILES)];
  return [
    '',
    `  The root is made on another machine. Until then nothing serves; the keys of the CAs stay in ${keysIn}.`,
    '',
    `  1. Look at ${join(folder, ROOT_FILES.plan)}: it is what the root signs, for ever. Write down the SHA-256 of`,
    ...asked.map((file) => `         ${file.padEnd(13)} ${sum(file)}`),
    '  2. Carry the folder to the offline machine. There, in the folder, with those who are to hold the root:',
    `         gigvault init --ceremony --rehearse --plan plan.yaml --out ~/rehearsal${shares}`,
    `         gigvault init --ceremony --plan plan.yaml --out ~/root --bundle .${shares}`,
    `  3. Carry it back to ${folder}, and give the same command again.`,
    '',
    '  More: docs/operations/ceremony.md; for one person alone, with a passphrase: docs/operations/offline-root.md',
    '',
  ].join('\n');
}

function refuse(why: string): never {
  throw new GigvaultError('INVALID_ARGUMENT', why);
}
