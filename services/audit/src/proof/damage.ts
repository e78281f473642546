import { GigvaultError } from '@gigvault/errors/gigvault-error';

/** The log's tables are not what was appended: somebody or something changed them. Nothing is appended or signed over it. */
export function damaged(what: string, cause?: unknown): GigvaultError {
  return new GigvaultError('AUDIT_NOT_VERIFIED', `The audit log was changed: ${what}.`, { cause });
}

/** Whether it is that, and not a failure to look. */
export function isDamage(error: unknown): error is GigvaultError {
  return error instanceof GigvaultError && error.code === 'AUDIT_NOT_VERIFIED';
}
