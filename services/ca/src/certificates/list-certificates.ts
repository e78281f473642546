import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type {
  ListCertificatesRequest,
  ListCertificatesResponse,
} from '@gigvault/proto/ca/v1/certificate';
import type {
  CertificateFilter,
  CertificateRecord,
  PagePosition,
} from '../ports/certificate-store.ts';
import { type CertificateDeps, toWireCertificate } from './get-certificate.ts';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 500;
const STATUSES = ['valid', 'revoked', 'expired'] as const;

/**
 * A page of certificates, newest first; with the status `expired`, what has expired last first. The cursor names the last one
 * of the page before, so pages neither repeat nor skip what existed when the first was read. Errors: INVALID_ARGUMENT.
 */
export async function listCertificates(
  deps: CertificateDeps,
  request: ListCertificatesRequest,
): Promise<ListCertificatesResponse> {
  const limit = request.limit === 0 ? DEFAULT_LIMIT : request.limit;
  if (limit > MAX_LIMIT)
    throw new GigvaultError('INVALID_ARGUMENT', `A page has 1 to ${MAX_LIMIT} items.`);
  const now = deps.clock.now();
  const after = request.cursor === '' ? undefined : readCursor(request.cursor);
  const records = await deps.certificates.list(toFilter(request, now), after, limit + 1);
  const page = records.slice(0, limit);
  const last = records.length > limit ? page.at(-1) : undefined;
  return {
    items: page.map((record) => toWireCertificate(record, now)),
    nextCursor: last === undefined ? '' : writeCursor(positionOf(last, request.status)),
  };
}

function toFilter(request: ListCertificatesRequest, now: number): CertificateFilter {
  const status = STATUSES.find((known) => known === request.status);
  if (request.status !== '' && status === undefined) {
    throw new GigvaultError('INVALID_ARGUMENT', `Status is one of ${STATUSES.join(', ')}.`);
  }
  return {
    status,
    commonName: request.commonName === '' ? undefined : request.commonName,
    requester: request.requester === '' ? undefined : request.requester,
    now,
  };
}

function positionOf(
  { issuedAt, notAfter, serialNumber, issuerId }: CertificateRecord,
  status: string,
): PagePosition {
  return { at: status === 'expired' ? notAfter : issuedAt, serialNumber, issuerId };
}

function writeCursor({ at, serialNumber, issuerId }: PagePosition): string {
  return Buffer.from(`${at}/${serialNumber}/${issuerId}`).toString('base64url');
}

function readCursor(cursor: string): PagePosition {
  const match = /^(\d{1,15})\/([0-9a-f]{1,40})\/([a-z0-9-]{1,63})$/.exec(
    Buffer.from(cursor, 'base64url').toString(),
  );
  if (!match) throw new GigvaultError('INVALID_ARGUMENT', 'The cursor is not one of ours.');
  return { at: Number(match[1]), serialNumber: match[2] ?? '', issuerId: match[3] ?? '' };
}
