import { type ErrorCode, publicErrorCode } from '@gigvault/errors/error-table';
import { asGigvaultError, type GigvaultError } from '@gigvault/errors/gigvault-error';
import { SIGNATURE_ALGORITHMS } from '../jws/jws.ts';

const URN = 'urn:ietf:params:acme:error:';

/** Where ACME wants another status than REST (RFC 8555 §7.4, §7.6). */
const STATUS: Partial<Record<ErrorCode, number>> = { ALREADY_REVOKED: 400, LINT_FAILED: 400 };

/** An ACME problem document (RFC 8555 §6.7). */
export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** In the user's words, with the GigVault code to search for. */
  readonly detail: string;
  readonly subproblems?: readonly object[];
  readonly algorithms?: readonly string[];
}

/** The problem document of an error; what is not ours becomes serverInternal without detail. */
export function problemDocument(error: unknown): ProblemDocument {
  const ours = asGigvaultError(error);
  const subproblems = subproblemsOf(ours);
  return {
    type: URN + ours.row.acme,
    title: ours.row.title,
    status: STATUS[ours.code] ?? ours.row.http,
    detail: `${ours.message} (${publicErrorCode(ours.code)})`,
    ...(subproblems.length > 0 ? { subproblems } : {}),
    ...(ours.code === 'BAD_SIGNATURE_ALGORITHM' ? { algorithms: SIGNATURE_ALGORITHMS } : {}),
  };
}

/** RFC 8555 §6.7.1. `details` names the identifier of a problem by its pointer, as `dns:a.example`. */
function subproblemsOf(error: GigvaultError): readonly object[] {
  return error.problems.map(({ pointer, message }) => {
    const [, type, value] = /^(dns|ip):(.*)$/s.exec(String(error.details[pointer] ?? '')) ?? [];
    return {
      type: URN + error.row.acme,
      detail: type === undefined ? `${pointer}: ${message}` : message,
      ...(type === undefined ? {} : { identifier: { type, value } }),
    };
  });
}
