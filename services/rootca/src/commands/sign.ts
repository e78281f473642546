import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { toPem } from '@gigvault/x509/pem';
import { fingerprint } from '../ceremony/fingerprint.ts';
import { signSubordinateCa } from '../ceremony/sign-subordinate-ca.ts';
import { startTranscript } from '../ceremony/transcript.ts';
import { caGeneration } from '../plan/plan.ts';
import {
  type CommandDeps,
  type RootAccess,
  readPem,
  requireNew,
  transcriptOf,
  withRoot,
  writeNew,
} from './root-directory.ts';

/** Flags of `rootca sign`. */
export interface SignOptions extends RootAccess {
  readonly csr: string;
  readonly kind: string;
  readonly out: string;
}

/**
 * `rootca sign`: signs a CA below the root, with a transcript beside the certificate. Returns what to print.
 * Errors: ALREADY_EXISTS when either file is there, and those of withRoot and signSubordinateCa.
 */
export async function signCommand(
  options: SignOptions,
  { clock, operator }: CommandDeps,
): Promise<string> {
  const { kind } = options;
  if (kind !== 'issuing' && kind !== 'services') {
    throw new GigvaultError('INVALID_ARGUMENT', '--kind is "issuing" or "services".');
  }
  requireNew(options.out, transcriptOf(options.out));
  const request = readPem(options.csr, 'CERTIFICATE REQUEST');
  return withRoot(options, operator, async (root) => {
    const transcript = startTranscript(clock);
    const certificate = await signSubordinateCa(root, kind, request, clock);
    const generation = caGeneration(root.plan, kind, certificate.subject) ?? 1;
    const name = generation === 1 ? kind : `${kind} G${generation}`;
    transcript.note(`signed the ${name} CA`, certificate.der);
    // The record first: a certificate that nothing tells of would be worse than a record of a lost one.
    await writeNew(transcriptOf(options.out), await transcript.sign(root));
    await writeNew(options.out, toPem('CERTIFICATE', certificate.der));
    return `certificate  ${options.out}\nfingerprint  ${fingerprint(certificate.der)}`;
  });
}
