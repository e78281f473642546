import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { awsErrorName, isAccessDenied } from '@gigvault/secrets/aws-client';

/** Errors of KMS that say that there is no such key, or that it is to be deleted and signs no more. */
const GONE = /^NotFoundException$/;
const PENDING = /pending deletion|PendingDeletion/i;

/**
 * A failure of KMS, or of its client, in our words: KEY_NOT_FOUND, else KEY_UNAVAILABLE. No message has what AWS says: it names accounts and people,
 * and is the cause, for the log.
 *
 * @param operation as `Sign`
 */
export function kmsFailure(operation: string, error: unknown): GigvaultError {
  if (error instanceof GigvaultError) return unavailable(error.message, error);
  const name = awsErrorName(error);
  const { message } = error as Error;
  if (GONE.test(name) || (name === 'KMSInvalidStateException' && PENDING.test(message)))
    return new GigvaultError('KEY_NOT_FOUND', 'There is no such key in AWS KMS.', { cause: error });
  if (isAccessDenied(error))
    return unavailable(`AWS KMS denies kms:${operation} to these credentials (${name}).`, error);
  if (/Credentials?ProviderError/.test(name))
    return unavailable('There are no credentials for AWS KMS.', error);
  if (/Region is missing/.test(message)) return unavailable('No region is set for AWS KMS.', error);
  if (/Throttl|LimitExceeded|TooManyRequests/.test(name))
    return unavailable(`AWS KMS has too much to do (${name}).`, error);
  if (name === 'DisabledException') return unavailable('The key is disabled in AWS KMS.', error);
  return unavailable(`AWS KMS failed at ${operation} (${name}).`, error);
}

function unavailable(message: string, cause: unknown): GigvaultError {
  return new GigvaultError('KEY_UNAVAILABLE', message, { cause });
}
