import type { Session } from '../session.ts';
import type { UserDocument, WhoamiDocument } from './resources.ts';

const MOST = 1000;
const USER = /^user:/;

/**
 * Who is meant by `user:<id>`, for people: the name, where the caller may know it. The others, and services, stay as they are. Json and yaml
 * show what the server said.
 */
export async function namesOf(
  session: Session,
  actors: readonly string[],
): Promise<(actor: string) => string> {
  const names = new Map<string, string>();
  const isOpen = () => actors.some((actor) => USER.test(actor) && !names.has(actor));
  if (session.output.format === 'table' && isOpen()) {
    const api = await session.api();
    const me = await api.get<WhoamiDocument>('/whoami');
    names.set(`user:${me.userId}`, me.name);
    if (isOpen() && me.permissions.includes('users:manage'))
      for (const { userId, name } of await api.list<UserDocument>('/users', MOST))
        names.set(`user:${userId}`, name);
  }
  return (actor) => names.get(actor) ?? actor;
}
