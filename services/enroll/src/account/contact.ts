import { GigvaultError, type Problem } from '@gigvault/errors/gigvault-error';

const MAX_CONTACTS = 10;
const MAX_OCTETS = 254;
/** One addr-spec in its plain form (RFC 6068 §2): no header fields, no list, no percent-encoding. */
const MAILTO =
  /^mailto:[A-Za-z0-9.!#$&'*+/=^_`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;

/** The contact URIs, checked (RFC 8555 §7.3). Errors: UNSUPPORTED_CONTACT for other schemes than mailto, INVALID_CONTACT. */
export function checkContact(contact: readonly string[]): readonly string[] {
  if (contact.length > MAX_CONTACTS) {
    throw new GigvaultError('INVALID_CONTACT', `At most ${MAX_CONTACTS} contacts can be given.`);
  }
  const other = contact.find((uri) => !uri.toLowerCase().startsWith('mailto:'));
  if (other !== undefined)
    throw new GigvaultError('UNSUPPORTED_CONTACT', 'Contacts must be mailto: URIs.');
  const problems = contact.flatMap((uri, index): Problem[] =>
    uri.length <= MAX_OCTETS && MAILTO.test(uri)
      ? []
      : [
          {
            pointer: `/contact/${index}`,
            message: 'It must be mailto: and one plain e-mail address.',
          },
        ],
  );
  if (problems.length > 0)
    throw new GigvaultError('INVALID_CONTACT', 'A contact is not valid.', { problems });
  return contact;
}
