/**
 * What each error means on every transport. One row a code; a test walks the table.
 *
 * - `http`: status code. `grpc`: status code number (grpc.github.io/grpc/core/md_doc_statuscodes.html).
 * - `acme`: the problem type after `urn:ietf:params:acme:error:` (RFC 8555 §6.7).
 * - `exit`: exit code of the CLI. `retry`: whether the same call may succeed later.
 */
export interface ErrorRow {
  readonly http: number;
  readonly grpc: number;
  readonly acme: AcmeErrorType;
  readonly exit: number;
  readonly retry: boolean;
  readonly title: string;
}

/** RFC 8555 §6.7. */
export type AcmeErrorType =
  | 'accountDoesNotExist'
  | 'alreadyRevoked'
  | 'badCSR'
  | 'badNonce'
  | 'badPublicKey'
  | 'badRevocationReason'
  | 'badSignatureAlgorithm'
  | 'connection'
  | 'dns'
  | 'externalAccountRequired'
  | 'incorrectResponse'
  | 'invalidContact'
  | 'malformed'
  | 'orderNotReady'
  | 'rateLimited'
  | 'rejectedIdentifier'
  | 'serverInternal'
  | 'tls'
  | 'unauthorized'
  | 'unsupportedContact'
  | 'unsupportedIdentifier'
  | 'userActionRequired';

const INVALID_ARGUMENT = 3;
const DEADLINE_EXCEEDED = 4;
const NOT_FOUND = 5;
const ALREADY_EXISTS = 6;
const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;
const FAILED_PRECONDITION = 9;
const ABORTED = 10;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;
const UNAVAILABLE = 14;
const DATA_LOSS = 15;
const UNAUTHENTICATED = 16;

/** Every error that leaves a service, on any transport. What is not here leaves as INTERNAL, without detail. */
export const ERROR_TABLE = {
  ACCOUNT_DOES_NOT_EXIST: row(
    400,
    FAILED_PRECONDITION,
    'accountDoesNotExist',
    5,
    false,
    'Account does not exist',
  ),
  ALREADY_EXISTS: row(409, ALREADY_EXISTS, 'malformed', 6, false, 'Already exists'),
  ALREADY_REVOKED: row(409, FAILED_PRECONDITION, 'alreadyRevoked', 6, false, 'Already revoked'),
  AUDIT_ENTRY_NOT_FOUND: row(404, NOT_FOUND, 'malformed', 5, false, 'Audit entry not found'),
  AUDIT_LAGGING: row(
    503,
    UNAVAILABLE,
    'serverInternal',
    9,
    true,
    'Audit log is behind; issuance waits for it',
  ),
  AUDIT_NOT_VERIFIED: row(
    422,
    FAILED_PRECONDITION,
    'serverInternal',
    10,
    false,
    'Audit log does not verify',
  ),
  AUTHORIZATION_NOT_FOUND: row(404, NOT_FOUND, 'malformed', 5, false, 'Authorization not found'),
  BAD_CSR: row(400, INVALID_ARGUMENT, 'badCSR', 2, false, 'Certification request refused'),
  BAD_KEY_AUTHORIZATION: row(
    400,
    INVALID_ARGUMENT,
    'malformed',
    2,
    false,
    'Key authorization is wrong',
  ),
  BAD_NONCE: row(400, INVALID_ARGUMENT, 'badNonce', 2, true, 'Nonce refused'),
  BAD_PUBLIC_KEY: row(400, INVALID_ARGUMENT, 'badPublicKey', 2, false, 'Public key refused'),
  BAD_REVOCATION_REASON: row(
    400,
    INVALID_ARGUMENT,
    'badRevocationReason',
    2,
    false,
    'Revocation reason refused',
  ),
  BAD_SIGNATURE_ALGORITHM: row(
    400,
    INVALID_ARGUMENT,
    'badSignatureAlgorithm',
    2,
    false,
    'Signature algorithm refused',
  ),
  CERTIFICATE_NOT_FOUND: row(404, NOT_FOUND, 'malformed', 5, false, 'Certificate not found'),
  CERTIFICATE_NOT_VERIFIED: row(
    422,
    FAILED_PRECONDITION,
    'malformed',
    10,
    false,
    'Certificate does not verify',
  ),
  CONFLICT: row(409, ABORTED, 'malformed', 6, true, 'Changed by somebody else'),
  DEADLINE_EXCEEDED: row(503, DEADLINE_EXCEEDED, 'serverInternal', 9, true, 'Took too long'),
  DECRYPTION_FAILED: row(
    400,
    INVALID_ARGUMENT,
    'malformed',
    10,
    false,
    'Ciphertext does not decrypt',
  ),
  FORBIDDEN: row(403, PERMISSION_DENIED, 'unauthorized', 4, false, 'Not allowed'),
  INTERNAL: row(500, INTERNAL, 'serverInternal', 1, true, 'Internal error'),
  INVALID_ARGUMENT: row(400, INVALID_ARGUMENT, 'malformed', 2, false, 'Invalid request'),
  INVALID_CONTACT: row(400, INVALID_ARGUMENT, 'invalidContact', 2, false, 'Contact is invalid'),
  INVALID_CURVE: row(400, INVALID_ARGUMENT, 'malformed', 2, false, 'Curve is not known'),
  INVALID_HASH_ALGORITHM: row(
    400,
    INVALID_ARGUMENT,
    'malformed',
    2,
    false,
    'Hash algorithm is not known, or not for this key',
  ),
  INVALID_KEY_ID: row(400, INVALID_ARGUMENT, 'malformed', 2, false, 'Key id is invalid'),
  INVALID_KEY_SIZE: row(
    400,
    INVALID_ARGUMENT,
    'malformed',
    2,
    false,
    'Key size is not one of this key type',
  ),
  INVALID_KEY_TYPE: row(400, INVALID_ARGUMENT, 'malformed', 2, false, 'Key type is not known'),
  KEY_LOST: row(410, DATA_LOSS, 'serverInternal', 5, false, 'Private key is lost'),
  KEY_NOT_FOUND: row(404, NOT_FOUND, 'serverInternal', 5, false, 'Key not found'),
  KEY_STATE_REFUSED: row(
    409,
    FAILED_PRECONDITION,
    'serverInternal',
    6,
    false,
    'State of the key does not allow this',
  ),
  KEY_UNAVAILABLE: row(503, UNAVAILABLE, 'serverInternal', 9, true, 'Key cannot be used now'),
  KEY_USE_REFUSED: row(
    403,
    PERMISSION_DENIED,
    'serverInternal',
    4,
    false,
    'Key may not be used for this',
  ),
  LINT_FAILED: row(422, FAILED_PRECONDITION, 'badCSR', 10, false, 'Certificate would break a rule'),
  METHOD_NOT_ALLOWED: row(405, UNIMPLEMENTED, 'malformed', 2, false, 'Method not allowed'),
  NOT_FOUND: row(404, NOT_FOUND, 'malformed', 5, false, 'Not found'),
  OPERATION_NOT_SUPPORTED: row(
    501,
    UNIMPLEMENTED,
    'serverInternal',
    2,
    false,
    'Operation is not supported here',
  ),
  ORDER_NOT_READY: row(403, FAILED_PRECONDITION, 'orderNotReady', 6, false, 'Order is not ready'),
  OVERLOADED: row(503, UNAVAILABLE, 'rateLimited', 9, true, 'Too much is asked for at once'),
  PAYLOAD_TOO_LARGE: row(413, INVALID_ARGUMENT, 'malformed', 2, false, 'Request is too large'),
  POLICY_DENIED: row(403, PERMISSION_DENIED, 'rejectedIdentifier', 7, false, 'Denied by policy'),
  PROFILE_CHANGED: row(
    409,
    FAILED_PRECONDITION,
    'serverInternal',
    6,
    false,
    'Profile changed since the order',
  ),
  RATE_LIMITED: row(429, RESOURCE_EXHAUSTED, 'rateLimited', 9, true, 'Too many requests'),
  REJECTED_IDENTIFIER: row(
    400,
    INVALID_ARGUMENT,
    'rejectedIdentifier',
    7,
    false,
    'Identifier refused',
  ),
  REQUEST_NOT_FOUND: row(404, NOT_FOUND, 'malformed', 5, false, 'Enrolment request not found'),
  REQUEST_NOT_PENDING: row(
    409,
    FAILED_PRECONDITION,
    'malformed',
    6,
    false,
    'Enrolment request is not pending',
  ),
  SELF_APPROVAL: row(
    403,
    PERMISSION_DENIED,
    'unauthorized',
    4,
    false,
    'Nobody approves their own request',
  ),
  SIGNATURE_NOT_VERIFIED: row(
    422,
    FAILED_PRECONDITION,
    'malformed',
    10,
    false,
    'Signature does not verify',
  ),
  SIGNING_CLOSED: row(
    409,
    FAILED_PRECONDITION,
    'serverInternal',
    6,
    false,
    'Signing intent is closed',
  ),
  UNAUTHENTICATED: row(401, UNAUTHENTICATED, 'unauthorized', 3, false, 'Not signed in'),
  UNAUTHORIZED: row(403, PERMISSION_DENIED, 'unauthorized', 4, false, 'Not authorized'),
  UNAUTHORIZED_IDENTIFIER: row(
    403,
    PERMISSION_DENIED,
    'unauthorized',
    7,
    false,
    'No valid authorization for a name',
  ),
  UNAVAILABLE: row(503, UNAVAILABLE, 'serverInternal', 9, true, 'Not available now'),
  UNKNOWN_PROFILE: row(400, INVALID_ARGUMENT, 'malformed', 2, false, 'Unknown profile'),
  UNSUPPORTED_CONTACT: row(
    400,
    INVALID_ARGUMENT,
    'unsupportedContact',
    2,
    false,
    'Contact scheme is not supported',
  ),
  UNSUPPORTED_IDENTIFIER: row(
    400,
    INVALID_ARGUMENT,
    'unsupportedIdentifier',
    2,
    false,
    'Identifier type is not supported',
  ),
  UNSUPPORTED_MEDIA_TYPE: row(
    415,
    INVALID_ARGUMENT,
    'malformed',
    2,
    false,
    'Media type is not supported',
  ),
  USER_NOT_FOUND: row(404, NOT_FOUND, 'malformed', 5, false, 'User not found'),
} as const satisfies Record<string, ErrorRow>;

/** A row's name, as it stands in `error.code` of a REST answer and after `GV-` (with dashes) in texts. */
export type ErrorCode = keyof typeof ERROR_TABLE;

/** True when `code` is a row of the table. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_TABLE, code);
}

/** As `GV-KEY-NOT-FOUND`: what people see and search for. */
export function publicErrorCode(code: ErrorCode): string {
  return `GV-${code.replaceAll('_', '-')}`;
}

function row(
  http: number,
  grpc: number,
  acme: AcmeErrorType,
  exit: number,
  retry: boolean,
  title: string,
): ErrorRow {
  return { http, grpc, acme, exit, retry, title };
}
