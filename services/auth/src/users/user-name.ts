import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { isUuid } from '@gigvault/ids/uuid';

/** The machine's own operator, made by `CreateBootstrapCredentials`. */
export const OPERATOR_NAME = 'operator@local';

const NAME = /^[a-z0-9][a-z0-9._@+-]{0,63}$/;

/** A user's name in its one form, lower case. Throws INVALID_ARGUMENT when it is not one, is like an id, or ends in the reserved `@local`. */
export function normalizeUserName(name: string): string {
  const normal = name.trim().toLowerCase();
  if (!NAME.test(normal))
    throw invalid('Use 1 to 64 letters, digits and . _ @ + -, a letter or digit first.');
  if (isUuid(normal)) throw invalid('A name cannot have the form of a user id.');
  if (normal.endsWith('@local'))
    throw invalid('Names that end in @local are reserved for machines.');
  return normal;
}

function invalid(message: string): GigvaultError {
  return new GigvaultError('INVALID_ARGUMENT', 'The user name is not valid.', {
    problems: [{ pointer: '/name', message }],
  });
}
