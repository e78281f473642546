import { writeFile } from 'node:fs/promises';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Clock } from '@gigvault/time/clock';
import { signSubordinateCa } from '../ceremony/sign-subordinate-ca.ts';
import { startTranscript } from '../ceremony/transcript.ts';
import { fingerprint } from './fingerprint.ts';
import { readPem, unlockRoot, writePem } from './root-directory.ts';

/** Flags of `rootca sign`. */
export interface SignOptions {
  readonly root: string;
  readonly passphraseFile: string;
  readonly csr: string;
  readonly kind: string;
  readonly out: string;
}

/** `rootca sign`: signs a CA below the root, with a transcript beside the certificate. Returns what to print. */
export async function signCommand(options: SignOptions, clock: Clock): Promise<string> {
  const { kind } = options;
  if (kind !== 'issuing' && kind !== 'services') {
    throw new GigvaultError('INVALID_ARGUMENT', '--kind is "issuing" or "services".');
  }
  const request = readPem(options.csr, 'CERTIFICATE REQUEST');
  const root = unlockRoot(options.root, options.passphraseFile);
  const transcript = startTranscript(clock);
  const certificate = signSubordinateCa(root, kind, request, clock);
  transcript.note(`signed the ${kind} CA`, certificate.der);
  await writePem(options.out, 'CERTIFICATE', certificate.der);
  await writeFile(`${options.out}.transcript.json`, transcript.sign(root), { mode: 0o644 });
  return `certificate  ${options.out}\nfingerprint  ${fingerprint(certificate.der)}`;
}
