import type { KeyObject } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Certificate } from '@gigvault/proto/ca/v1/certificate';
import { durableStep } from '@gigvault/telemetry/durable-step';
import { type ParsedCertificate, readCertificate } from '@gigvault/x509/certificate';
import { requesterOf } from '../account/requester.ts';
import type { Certificates } from '../ports/certificate-authority.ts';
import type { Orders } from '../ports/orders.ts';
import type { Authorizations } from '../ports/registration-authority.ts';

/** What revoking needs. */
export interface RevokeCertificateDeps {
  readonly certificates: Certificates;
  readonly orders: Orders;
  readonly authorizations: Authorizations;
}

/** Who signed the request: an account, or the certificate's own key. */
export type Revoker =
  | { readonly kind: 'account'; readonly accountId: string }
  | { readonly kind: 'key'; readonly publicKey: KeyObject; readonly thumbprint: string };

/** CRLReason values that a subscriber may give (RFC 5280 §5.3.1; not certificateHold, nor what only a CA can know: T59). */
const REASONS: readonly number[] = [0, 1, 3, 4, 5];
const KEY_COMPROMISE = 1;
const RECENT_ORDERS = 100;

/**
 * Revokes a certificate for its account, for an account that holds valid authorizations for all its names, or for whoever
 * has its key (RFC 8555 §7.6, T56).
 * Errors: INVALID_ARGUMENT, BAD_REVOCATION_REASON, CERTIFICATE_NOT_FOUND, UNAUTHORIZED, ALREADY_REVOKED.
 */
export async function revokeCertificate(
  deps: RevokeCertificateDeps,
  revoker: Revoker,
  request: { readonly certificate: Buffer; readonly reasonCode: number },
): Promise<void> {
  if (!REASONS.includes(request.reasonCode)) {
    throw new GigvaultError(
      'BAD_REVOCATION_REASON',
      `Reason codes ${REASONS.join(', ')} are accepted.`,
    );
  }
  const parsed = parse(request.certificate);
  const known = await deps.certificates.get(parsed.serialNumber);
  if (!known.certificate.equals(request.certificate)) {
    throw new GigvaultError('CERTIFICATE_NOT_FOUND', 'This certificate was not issued here.');
  }
  await authorize(deps, revoker, { parsed, known, reasonCode: request.reasonCode });
  await durableStep('enroll.revoke', () =>
    deps.certificates.revoke({
      serialNumber: known.serialNumber,
      issuerId: known.issuerId,
      reasonCode: request.reasonCode,
      actor:
        revoker.kind === 'account'
          ? requesterOf(revoker.accountId)
          : `certificate-key:${revoker.thumbprint}`,
    }),
  );
}

function parse(der: Buffer): ParsedCertificate {
  try {
    return readCertificate(der);
  } catch (error) {
    throw new GigvaultError('INVALID_ARGUMENT', '"certificate" is not a certificate.', {
      cause: error,
    });
  }
}

async function authorize(
  deps: RevokeCertificateDeps,
  revoker: Revoker,
  subject: {
    readonly parsed: ParsedCertificate;
    readonly known: Certificate;
    readonly reasonCode: number;
  },
): Promise<void> {
  const { parsed, known } = subject;
  if (revoker.kind === 'key') {
    if (parsed.publicKey.keyObject.equals(revoker.publicKey)) return;
    throw new GigvaultError('UNAUTHORIZED', 'The key is not that of the certificate.');
  }
  if (known.requester === requesterOf(revoker.accountId)) return;
  if (!(await controlsAllNames(deps, revoker.accountId, parsed))) {
    throw new GigvaultError('UNAUTHORIZED', 'The account may not revoke this certificate.');
  }
  // Who merely controls the names cannot know about the key, and its word would bar that key everywhere.
  if (subject.reasonCode === KEY_COMPROMISE) {
    throw new GigvaultError(
      'BAD_REVOCATION_REASON',
      'Only its account or its key can report a key compromise.',
    );
  }
}

async function controlsAllNames(
  deps: RevokeCertificateDeps,
  accountId: string,
  parsed: ParsedCertificate,
): Promise<boolean> {
  const wanted = new Set(parsed.subjectAltName.map(nameKey));
  // The RA reuses valid authorizations, so the newest for a name is the one to ask about.
  const newest = new Map<string, string>();
  for (const order of await deps.orders.list(accountId, undefined, RECENT_ORDERS)) {
    for (const [index, identifier] of order.identifiers.entries()) {
      const name = nameKey(identifier);
      if (wanted.has(name) && !newest.has(name)) newest.set(name, order.authorizationIds[index]!);
    }
  }
  if (newest.size === 0 || newest.size < wanted.size) return false;
  const held = await deps.authorizations.get([...new Set(newest.values())]);
  return held.every(
    ({ status, requester }) => status === 'valid' && requester === requesterOf(accountId),
  );
}

function nameKey(name: { readonly type: string; readonly value: string }): string {
  return `${name.type}:${name.value}`;
}
