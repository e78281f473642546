import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { isUuid } from '@gigvault/ids/uuid';
import type { ListRequestsRequest } from '@gigvault/proto/ra/v1/enrolment';
import type { RequestStore } from '../ports/request-store.ts';
import type { StoredRequest } from './stored-request.ts';

const MAX_LIMIT = 200;
const DEFAULT_LIMIT = 50;

/** One request. Errors: REQUEST_NOT_FOUND. */
export async function readRequest(
  requests: RequestStore,
  requestId: string,
): Promise<StoredRequest> {
  const found = isUuid(requestId) ? await requests.find(requestId) : undefined;
  if (!found)
    throw new GigvaultError(
      'REQUEST_NOT_FOUND',
      `There is no enrolment request ${JSON.stringify(requestId.slice(0, 64))}.`,
    );
  return found;
}

/** One page, newest first; `nextCursor` is empty on the last. Errors: INVALID_ARGUMENT for a cursor that is none of ours. */
export async function listRequests(
  requests: RequestStore,
  { status, requester, limit, cursor }: ListRequestsRequest,
): Promise<{ items: StoredRequest[]; nextCursor: string }> {
  const size = Math.min(limit || DEFAULT_LIMIT, MAX_LIMIT);
  const before = cursor === '' ? {} : { before: readCursor(cursor) };
  const found = await requests.list({ status, requester, limit: size + 1, ...before });
  const items = found.slice(0, size);
  const last = items.at(-1);
  return { items, nextCursor: found.length > size && last ? writeCursor(last) : '' };
}

function writeCursor({ createdAt, requestId }: StoredRequest): string {
  return Buffer.from(`${createdAt}/${requestId}`).toString('base64url');
}

function readCursor(cursor: string): { createdAt: number; requestId: string } {
  const [createdAt = '', requestId = ''] = Buffer.from(cursor, 'base64url').toString().split('/');
  if (/^[0-9]{1,15}$/.test(createdAt) && isUuid(requestId))
    return { createdAt: Number(createdAt), requestId };
  throw new GigvaultError('INVALID_ARGUMENT', 'The cursor is not one of ours.');
}
