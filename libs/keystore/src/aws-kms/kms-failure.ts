import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { awsErrorName, isAccessDenied } from '@gigvault/secrets/aws-client';

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
  if (name === 'NotFoundException')
    return new GigvaultError('KEY_NOT_FOUND', 'There is no such key in AWS KMS.', { cause: error });
  if (isPendingDeletion(error))
    return unavailable('The deletion of the key is scheduled in AWS KMS. Cancel it there.', error);
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

/** The key is not gone: in AWS its deletion can be cancelled for 7 to 30 days. @param error of KMS, or what kmsFailure made of it */
export function isPendingDeletion(error: unknown): boolean {
  const said = error instanceof GigvaultError ? error.cause : error;
  return awsErrorName(said) === 'KMSInvalidStateException' && PENDING.test((said as Error).message);
}

function unavailable(message: string, cause: unknown): GigvaultError {
  return new GigvaultError('KEY_UNAVAILABLE', message, { cause });
}
