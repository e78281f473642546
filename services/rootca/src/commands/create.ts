import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileDurably } from '@gigvault/files/durable-file';
import type { Clock } from '@gigvault/time/clock';
import { newTokenRootKey, readTokenRecord, writeTokenRecord } from '../adapters/token-root-key.ts';
import { createRoot } from '../ceremony/create-root.ts';
import { fingerprint } from '../ceremony/fingerprint.ts';
import { issueRootCrl } from '../ceremony/issue-root-crl.ts';
import { newPassphrase, protectRootKey } from '../ceremony/protect-root-key.ts';
import { ROOT_FILES } from '../ceremony/root-files.ts';
import { newMemoryRootKey, type RootKey } from '../ceremony/root-key.ts';
import { startTranscript } from '../ceremony/transcript.ts';
import { type Plan, parsePlan } from '../plan/plan.ts';
import { requireRealPlan } from '../sitting/rehearsal.ts';
import { prepareRootDirectory, readText, writePem } from './root-directory.ts';

/** Flags of `rootca create`. */
export interface CreateOptions {
  readonly plan: string;
  readonly out: string;
  /** The token that makes and keeps the key, RFC 7512; without it the key is an encrypted file. */
  readonly hsm?: string;
}

/** A new root key, and what is kept of it beside the certificate. */
interface NewKey {
  readonly key: RootKey;
  readonly file: 'key' | 'token';
  readonly mode: number;
  readonly content: string;
  readonly step: string;
  /** Lines for the one who made it. */
  readonly say: readonly string[];
  close(): Promise<void>;
}

/**
 * `rootca create`: makes a root in an empty directory, or in one where it died right after it had noted where in a token the key will be. Returns what to print; the passphrase of a key file stands in it and nowhere else.
 * Errors: ALREADY_EXISTS, NOT_FOUND, INVALID_ARGUMENT; KEY_UNAVAILABLE of a token.
 */
export async function create(options: CreateOptions, clock: Clock): Promise<string> {
  const planText = readText(options.plan);
  const plan = parsePlan(planText);
  requireRealPlan(plan);
  const { out, hsm } = options;
  await prepareRootDirectory(out, hsm !== undefined);
  const made = hsm === undefined ? keyInFile() : await keyInToken(out, hsm, plan);
  try {
    return await createWith(made, { out, planText, plan }, clock);
  } finally {
    await made.close();
  }
}

function keyInFile(): NewKey {
  const key = newMemoryRootKey();
  const passphrase = newPassphrase();
  return {
    key,
    file: 'key',
    mode: 0o600,
    content: protectRootKey(key.privateKey, passphrase),
    step: 'encrypted the root key',
    say: [
      `passphrase        ${passphrase}`,
      'Write the passphrase down now. It is shown once and stored nowhere.',
    ],
    close: async () => undefined,
  };
}

async function keyInToken(out: string, uri: string, plan: Plan): Promise<NewKey> {
  const path = join(out, ROOT_FILES.token);
  const mode = 0o644;
  const noted = existsSync(path) ? readTokenRecord(readText(path)) : undefined;
  let content = '';
  const key = await newTokenRootKey({
    uri,
    plan,
    noted,
    async note(record) {
      content = writeTokenRecord(record);
      await writeFileDurably(path, content, mode);
    },
  });
  const { handle, token } = readTokenRecord(content);
  return {
    key,
    file: 'token',
    mode,
    content,
    step: 'noted the token of the root key',
    say: [`key               ${handle} in ${token}, which it never leaves`],
    close: () => key.close(),
  };
}

async function createWith(
  { key, file, mode, content, step, say }: NewKey,
  { out, plan, planText }: { readonly out: string; readonly plan: Plan; readonly planText: string },
  clock: Clock,
): Promise<string> {
  const transcript = startTranscript(clock);
  const root = await createRoot(plan, key, clock);
  transcript.note('made the root key', root.certificate.publicKey.spki);
  transcript.note('signed the root certificate', root.certificate.der);
  const crl = await issueRootCrl(root, clock);
  transcript.note('issued the root CRL', crl);
  transcript.note(step, content);

  const path = (name: keyof typeof ROOT_FILES) => join(out, ROOT_FILES[name]);
  // The key first: a certificate without its key would be a root that can never sign.
  await writeFileDurably(path(file), content, mode);
  await writePem(path('certificate'), 'CERTIFICATE', root.certificate.der);
  await writePem(path('crl'), 'X509 CRL', crl);
  await writeFileDurably(path('plan'), planText, 0o644);
  await writeFileDurably(path('transcript'), await transcript.sign(root), 0o644);
  return [
    `root certificate  ${path('certificate')}`,
    `fingerprint       ${fingerprint(root.certificate.der)}`,
    ...say,
  ].join('\n');
}
