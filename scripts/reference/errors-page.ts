import { ERROR_TABLE, type ErrorRow, publicErrorCode } from '../../libs/errors/src/error-table.ts';
import { code, type Page } from './table.ts';

const GRPC_NAMES: Readonly<Record<number, string>> = {
  3: 'INVALID_ARGUMENT',
  4: 'DEADLINE_EXCEEDED',
  5: 'NOT_FOUND',
  6: 'ALREADY_EXISTS',
  7: 'PERMISSION_DENIED',
  8: 'RESOURCE_EXHAUSTED',
  9: 'FAILED_PRECONDITION',
  10: 'ABORTED',
  12: 'UNIMPLEMENTED',
  13: 'INTERNAL',
  14: 'UNAVAILABLE',
  16: 'UNAUTHENTICATED',
};

/** Every error, on every transport. */
export function errorsPage(): Page {
  const rows = Object.entries(ERROR_TABLE).map(([name, row]: [string, ErrorRow]) => [
    code(publicErrorCode(name as keyof typeof ERROR_TABLE)),
    row.title,
    String(row.http),
    code(GRPC_NAMES[row.grpc] ?? String(row.grpc)),
    code(row.acme),
    String(row.exit),
    row.retry ? 'may help' : '',
  ]);
  return {
    title: 'Errors',
    about: [
      'What each error is on each transport: HTTP status, gRPC status, ACME problem type (RFC 8555 §6.7), exit code of the',
      '`gigvault` command, and whether the same call may succeed later. REST answers are problem documents (RFC 9457); their',
      '`error.code` is the name without `GV-`, with underscores. What is not in this table leaves as `GV-INTERNAL`, without',
      'detail; the log has it under the same trace id.',
    ].join('\n'),
    sections: [
      {
        heading: '',
        columns: ['code', 'meaning', 'HTTP', 'gRPC', 'ACME', 'exit', 'again'],
        rows,
      },
    ],
  };
}
