import { CliFailure } from '../failure.ts';
import { table } from '../output/table.ts';
import { type Action, listOption } from '../program/command-spec.ts';
import type { ApiClient } from '../server/api-client.ts';
import type { Session } from '../session.ts';
import { keyPath } from './key.ts';
import { namesOf } from './people.ts';
import type { GrantsDocument, UserDocument } from './resources.ts';

/** Lists who may use a key besides its owner. */
export const keyGrants: Action = async (session, [keyId = '']) => {
  const api = await session.api();
  await show(session, await api.get<GrantsDocument>(`${keyPath(keyId)}/grants`));
};

/** Lets somebody use a key: for what is named, and nothing else from then on. */
export const keyGrant: Action = async (session, [keyId = '', who = ''], options) => {
  const uses = listOption(options, 'use');
  await change(session, keyId, who, (others, user) => [...others, { user, uses }]);
};

/** Takes back whatever somebody was granted. */
export const keyUngrant: Action = async (session, [keyId = '', who = '']) => {
  await change(session, keyId, who, (others) => others);
};

type Grants = GrantsDocument['grants'];

/** Replaces one person's part of the list that was read: a change that came between is a conflict. */
async function change(
  session: Session,
  keyId: string,
  who: string,
  make: (others: Grants, user: string) => Grants,
): Promise<void> {
  const api = await session.api();
  const user = await userOf(api, who);
  const path = `${keyPath(keyId)}/grants`;
  const { version, grants } = await api.get<GrantsDocument>(path);
  const others = grants.filter((grant) => grant.user !== user);
  await show(session, await api.put<GrantsDocument>(path, { version, grants: make(others, user) }));
}

/** `user:<id>` of a name; only who may list users can name somebody so. */
async function userOf(api: ApiClient, who: string): Promise<string> {
  if (who.startsWith('user:')) return who;
  const users = await api.list<UserDocument>('/users');
  const found = users.find(({ name }) => name === who);
  if (found) return `user:${found.userId}`;
  throw new CliFailure(`there is no user "${who}"`, {
    code: 'NOT_FOUND',
    tries: [{ command: 'gigvault user list' }],
  });
}

async function show(session: Session, document: GrantsDocument): Promise<void> {
  const { grants } = document;
  const nameOf = await namesOf(
    session,
    grants.map(({ user }) => user),
  );
  await session.output.result({
    data: document,
    names: grants.map(({ user }) => user),
    text: (style) =>
      table(
        [
          { head: 'USER', cell: ({ user }) => nameOf(user) },
          { head: 'USES', cell: ({ uses }) => uses.join(',') },
        ],
        grants,
        style,
      ),
  });
}
