import { GigvaultError } from '@gigvault/errors/gigvault-error';

/**
 * The octets of a base64url text without padding (RFC 7515 §2). Only the one canonical spelling is taken: padding, white
 * space, other characters and non-zero trailing bits are INVALID_ARGUMENT.
 *
 * @param what names the value in the error, as `"payload"`.
 */
export function decodeBase64Url(text: string, what: string): Buffer {
  const octets = Buffer.from(text, 'base64url');
  if (octets.toString('base64url') !== text) {
    throw new GigvaultError('INVALID_ARGUMENT', `${what} is not base64url without padding.`);
  }
  return octets;
}
