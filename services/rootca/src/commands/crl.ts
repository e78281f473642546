import { join } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { ParsedCertificate } from '@gigvault/x509/certificate';
import { type CrlEntry, readCertList } from '@gigvault/x509/crl';
import { isReasonCode, REASON_CODE } from '@gigvault/x509/reason-code';
import { parseSerialNumber } from '@gigvault/x509/serial-number';
import { isCrlOf } from '../ceremony/check-hierarchy.ts';
import { issueRootCrl } from '../ceremony/issue-root-crl.ts';
import { ROOT_FILES } from '../ceremony/root-files.ts';
import { startTranscript } from '../ceremony/transcript.ts';
import { crlStep, newestCrlNumber, recordedSteps } from './recorded-steps.ts';
import {
  type CommandDeps,
  type RootAccess,
  readPem,
  requireNew,
  transcriptOf,
  withRoot,
  writeNew,
  writePem,
} from './root-directory.ts';

const { certificateHold, removeFromCRL } = REASON_CODE;

/** Flags of `rootca crl`. */
export interface CrlOptions extends RootAccess {
  /** `<serial number>` or `<serial number>@<reason code>` (RFC 5280 §5.3.1). */
  readonly revoke: readonly string[];
}

/**
 * `rootca crl`: the root's next CRL, with what it revokes besides, and its transcript. Returns what to print.
 * Errors: INVALID_ARGUMENT when root.crl is not this root's newest, so that no revocation is forgotten; those of withRoot.
 */
export async function crl(options: CrlOptions, { clock, operator }: CommandDeps): Promise<string> {
  const path = join(options.root, ROOT_FILES.crl);
  const revoked = options.revoke.map((text) => parseRevocation(text, clock.now()));
  const previous = readPem(path, 'X509 CRL');
  return withRoot(options, operator, async (root) => {
    requireNewest(options.root, previous, root.certificate);
    const der = await issueRootCrl(root, clock, { previous, revoked });
    const { crlNumber } = readCertList(der);
    const record = transcriptOf(`${path}.${crlNumber}`);
    requireNew(record);
    const transcript = startTranscript(clock);
    transcript.note(crlStep(crlNumber), der);
    // The CRL first: what is not there yet can be issued again, with the next number and its own transcript.
    await writePem(path, 'X509 CRL', der);
    await writeNew(record, await transcript.sign(root));
    return `CRL  ${path}\nnumber  ${crlNumber}`;
  });
}

function requireNewest(directory: string, previous: Buffer, root: ParsedCertificate): void {
  const list = readCertList(previous);
  if (!isCrlOf(list, root)) {
    throw new GigvaultError('INVALID_ARGUMENT', `${directory}: root.crl is not this root's.`);
  }
  const newest = newestCrlNumber(recordedSteps(directory, root.der));
  if (list.crlNumber >= newest) return;
  throw new GigvaultError(
    'INVALID_ARGUMENT',
    `${directory}: root.crl is number ${list.crlNumber}, but the transcripts tell of number ${newest}. Put the newest one back first: it may revoke more.`,
  );
}

function parseRevocation(text: string, now: number): CrlEntry {
  const [serial = '', reason = '0', ...rest] = text.split('@');
  const reasonCode = Number(reason);
  // A CA is not held, and only a delta CRL takes an entry back (RFC 5280 §5.3.1).
  const forEver = reasonCode !== certificateHold && reasonCode !== removeFromCRL;
  if (rest.length > 0 || !isReasonCode(reasonCode) || !forEver) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `--revoke is <serial number> or <serial number>@<reason code>, not "${text}".`,
    );
  }
  return { serialNumber: parseSerialNumber(serial), revokedAt: now, reasonCode };
}
