import { join } from 'node:path';
import { writeFileDurably } from '@gigvault/files/durable-file';
import type { Clock } from '@gigvault/time/clock';
import { createRoot } from '../ceremony/create-root.ts';
import { issueRootCrl } from '../ceremony/issue-root-crl.ts';
import { newPassphrase, protectRootKey } from '../ceremony/protect-root-key.ts';
import { startTranscript } from '../ceremony/transcript.ts';
import { parsePlan } from '../plan/plan.ts';
import { fingerprint } from './fingerprint.ts';
import { prepareRootDirectory, ROOT_FILES, readText, writePem } from './root-directory.ts';

/**
 * `rootca create`: makes a root in an empty directory. Returns what to print; the passphrase stands in it and nowhere else.
 * Errors: ALREADY_EXISTS, NOT_FOUND, INVALID_ARGUMENT.
 */
export async function create(
  options: { readonly plan: string; readonly out: string },
  clock: Clock,
): Promise<string> {
  const planText = readText(options.plan);
  const plan = parsePlan(planText);
  await prepareRootDirectory(options.out);
  const transcript = startTranscript(clock);
  const root = createRoot(plan, clock);
  transcript.note('made the root key', root.certificate.publicKey.spki);
  transcript.note('signed the root certificate', root.certificate.der);
  const crl = issueRootCrl(root, clock);
  transcript.note('issued the root CRL', crl);
  const passphrase = newPassphrase();
  const encrypted = protectRootKey(root.privateKey, passphrase);
  transcript.note('encrypted the root key', encrypted);

  const path = (file: keyof typeof ROOT_FILES) => join(options.out, ROOT_FILES[file]);
  // The key first: a certificate without its key would be a root that can never sign.
  await writeFileDurably(path('key'), encrypted, 0o600);
  await writePem(path('certificate'), 'CERTIFICATE', root.certificate.der);
  await writePem(path('crl'), 'X509 CRL', crl);
  await writeFileDurably(path('plan'), planText, 0o644);
  await writeFileDurably(path('transcript'), transcript.sign(root), 0o644);
  return [
    `root certificate  ${path('certificate')}`,
    `fingerprint       ${fingerprint(root.certificate.der)}`,
    `passphrase        ${passphrase}`,
    'Write the passphrase down now. It is shown once and stored nowhere.',
  ].join('\n');
}
