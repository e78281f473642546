import { join } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Clock } from '@gigvault/time/clock';
import type { CrlEntry } from '@gigvault/x509/crl';
import { isReasonCode } from '@gigvault/x509/reason-code';
import { parseSerialNumber } from '@gigvault/x509/serial-number';
import { issueRootCrl } from '../ceremony/issue-root-crl.ts';
import { ROOT_FILES, readPem, unlockRoot, writePem } from './root-directory.ts';

/** Flags of `rootca crl`. */
export interface CrlOptions {
  readonly root: string;
  readonly passphraseFile: string;
  /** `<serial number>` or `<serial number>@<reason code>` (RFC 5280 §5.3.1). */
  readonly revoke: readonly string[];
}

/** `rootca crl`: the root's next CRL, with what it revokes besides. Returns what to print. */
export async function crl(options: CrlOptions, clock: Clock): Promise<string> {
  const path = join(options.root, ROOT_FILES.crl);
  const revoked = options.revoke.map((text) => parseRevocation(text, clock.now()));
  const previous = readPem(path, 'X509 CRL');
  const root = unlockRoot(options.root, options.passphraseFile);
  await writePem(path, 'X509 CRL', issueRootCrl(root, clock, { previous, revoked }));
  return `CRL  ${path}`;
}

function parseRevocation(text: string, now: number): CrlEntry {
  const [serial = '', reason = '0', ...rest] = text.split('@');
  const reasonCode = Number(reason);
  if (rest.length > 0 || !isReasonCode(reasonCode)) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `--revoke is <serial number> or <serial number>@<reason code>, not "${text}".`,
    );
  }
  return { serialNumber: parseSerialNumber(serial), revokedAt: now, reasonCode };
}
