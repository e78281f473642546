import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { draftFile, writeFileDurably } from '@gigvault/files/durable-file';
import type { Clock } from '@gigvault/time/clock';
import { readCertificate } from '@gigvault/x509/certificate';
import { fromPem, toPem } from '@gigvault/x509/pem';
import { findTokenRootKey, readTokenRecord, tokenPin } from '../adapters/token-root-key.ts';
import { unlockRootKey, unlockWithSecret } from '../ceremony/protect-root-key.ts';
import type { Root } from '../ceremony/root.ts';
import { ROOT_FILES } from '../ceremony/root-files.ts';
import { openMemoryRootKey } from '../ceremony/root-key.ts';
import { verifyTranscript } from '../ceremony/transcript.ts';
import { askForShares, sharesOfFiles } from '../custody/collect-shares.ts';
import { type CustodyRecord, readCustodyRecord } from '../custody/custody-record.ts';
import { type Plan, parsePlan, planHash } from '../plan/plan.ts';
import type { OpenRootKey } from '../ports/key-keeper.ts';
import type { Operator } from '../ports/operator.ts';
import { PROGRESS_FILE } from '../sitting/progress.ts';

/** Its file descriptor. */
const STDIN = 0;

/**
 * Errors: ALREADY_EXISTS when the directory holds a root: a root is never overwritten. What only says where in a token a key will be is none yet, for whoever
 * makes it `inToken`; nor does its key say who has used it, so all that a root leaves must be missing.
 */
export async function prepareRootDirectory(directory: string, inToken: boolean): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { key, token, certificate, crl, transcript, custody } = ROOT_FILES;
  const has = (file: string) => existsSync(join(directory, file));
  const isBegun = inToken && ![crl, transcript, custody, PROGRESS_FILE].some(has);
  if ([key, certificate, ...(isBegun ? [] : [token])].some(has)) {
    throw new GigvaultError('ALREADY_EXISTS', `${directory} already holds a root.`);
  }
}

/** What a transcript beside the file it tells of is called. */
export function transcriptOf(path: string): string {
  return `${path}.${ROOT_FILES.transcript}`;
}

/** How a root's key is reached. */
export interface RootAccess {
  /** The root's directory. */
  readonly root: string;
  /** For a key in a file; `-` is stdin. */
  readonly passphraseFile?: string;
  /** For a key in a token that has another URI than when it was made. */
  readonly hsm?: string;
  /** For a key of a ceremony: files with shares, one each. Without them holders are asked. */
  readonly shareFile?: readonly string[];
}

/** What happens around a command. */
export interface CommandDeps {
  readonly clock: Clock;
  /** Asked for what no flag says. */
  readonly operator: Operator;
}

/**
 * Runs `use` with the root of a directory, and lets go of its key. Errors: NOT_FOUND for a missing file, KEY_UNAVAILABLE for a wrong passphrase, a token
 * that does not answer or a key that is not the certificate's, INVALID_ARGUMENT, also for another plan than the one that the root was made with, and for
 * shares that do not open the key.
 */
export async function withRoot<T>(
  access: RootAccess,
  operator: Operator,
  use: (root: Root) => Promise<T>,
): Promise<T> {
  const directory = access.root;
  const plan = parsePlan(readText(join(directory, ROOT_FILES.plan)));
  const certificate = readCertificate(
    readPem(join(directory, ROOT_FILES.certificate), 'CERTIFICATE'),
  );
  requireOwnPlan(directory, plan, certificate.der);
  const key = await openKey(access, operator);
  try {
    if (!key.publicKey.spki.equals(certificate.spki)) {
      throw new GigvaultError(
        'KEY_UNAVAILABLE',
        'The root key is not the one of the root certificate.',
      );
    }
    return await use({ plan, certificate, key });
  } finally {
    await key.close();
  }
}

async function openKey(access: RootAccess, operator: Operator): Promise<OpenRootKey> {
  const inRoot = (file: string) => join(access.root, file);
  const custody = inRoot(ROOT_FILES.custody);
  if (existsSync(custody)) {
    const secret = await heldSecret(readCustodyRecord(readText(custody)), access, operator);
    return openWithSecret(access, secret).finally(() => secret.fill(0));
  }
  if (access.shareFile !== undefined) {
    throw new GigvaultError('INVALID_ARGUMENT', 'No shares were made of what opens this root.');
  }
  const token = inRoot(ROOT_FILES.token);
  if (existsSync(token)) return findTokenRootKey(readTokenRecord(readText(token)), access);
  if (access.passphraseFile === undefined) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      "The root's key is in a file: give --passphrase-file.",
    );
  }
  const encrypted = readText(inRoot(ROOT_FILES.key));
  return openMemoryRootKey(unlockRootKey(encrypted, readPassphrase(access.passphraseFile)));
}

async function heldSecret(
  record: CustodyRecord,
  { passphraseFile, shareFile }: RootAccess,
  operator: Operator,
): Promise<Buffer> {
  if (passphraseFile !== undefined) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      'This root has no passphrase: its key opens with the shares of its holders.',
    );
  }
  if (shareFile === undefined) return askForShares(record, operator);
  return sharesOfFiles(
    record,
    shareFile.map((path) => ({ path, text: readText(path) })),
  );
}

async function openWithSecret({ root, hsm }: RootAccess, secret: Buffer): Promise<OpenRootKey> {
  const token = join(root, ROOT_FILES.token);
  if (existsSync(token)) {
    return findTokenRootKey(readTokenRecord(readText(token)), { hsm, pin: tokenPin(secret) });
  }
  return openMemoryRootKey(unlockWithSecret(readText(join(root, ROOT_FILES.key)), secret));
}

/** Of `-` what another program hands over, so that it stands in no file. */
function readPassphrase(file: string): string {
  return file === '-' ? readFileSync(STDIN, 'utf8') : readText(file);
}

/** A plan edited after `create` would sign what nobody agreed to. */
function requireOwnPlan(directory: string, plan: Plan, rootCertificate: Buffer): void {
  const transcript = readText(join(directory, ROOT_FILES.transcript));
  if (verifyTranscript(transcript, rootCertificate).planSha256 === planHash(plan)) return;
  throw new GigvaultError('INVALID_ARGUMENT', `${directory}: ${ANOTHER_PLAN}.`);
}

/** Said of a plan.yaml. */
export const ANOTHER_PLAN = 'plan.yaml is not the plan that the root was made with';

/** Errors: ALREADY_EXISTS when one of the files is there, NOT_FOUND when a folder is not. */
export function requireNew(...paths: readonly string[]): void {
  for (const path of paths) {
    if (existsSync(path)) throw alreadyThere(path);
    if (!existsSync(dirname(path)))
      throw new GigvaultError('NOT_FOUND', `The folder ${dirname(path)} does not exist.`);
  }
}

/** Writes a public file, mode 0644. Errors: ALREADY_EXISTS; a file that is there stays as it is. */
export async function writeNew(path: string, content: string): Promise<void> {
  const draft = await draftFile(path, content, 0o644);
  await draft.create().catch((cause: NodeJS.ErrnoException) => {
    throw cause.code === 'EEXIST' ? alreadyThere(path, cause) : cause;
  });
}

function alreadyThere(path: string, cause?: unknown): GigvaultError {
  const why = `${path} exists already, and what the root has signed is not overwritten.`;
  return new GigvaultError('ALREADY_EXISTS', why, { cause });
}

/** Writes a public file as PEM, mode 0644. */
export async function writePem(path: string, label: string, der: Buffer): Promise<void> {
  await writeFileDurably(path, toPem(label, der), 0o644);
}

/** The first block of that label, DER. Errors: NOT_FOUND, INVALID_ARGUMENT. */
export function readPem(path: string, label: string): Buffer {
  return fromPem(readText(path), label)[0]!;
}

/** Errors: NOT_FOUND when it cannot be read. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new GigvaultError('NOT_FOUND', `Cannot read ${path}.`, { cause });
  }
}
