import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { User, UserStore } from '../ports/user-store.ts';

/** The user with this id or name. Throws USER_NOT_FOUND. */
export async function findUser(
  deps: { readonly users: UserStore },
  idOrName: string,
): Promise<User> {
  const user = await deps.users.find(idOrName.toLowerCase());
  if (!user) throw new GigvaultError('USER_NOT_FOUND', `There is no user "${idOrName}".`);
  return user;
}
