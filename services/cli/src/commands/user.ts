import type { Style } from '../output/style.ts';
import { table } from '../output/table.ts';
import { day, dayAndDistance } from '../output/times.ts';
import { type Action, listOption, textOption } from '../program/command-spec.ts';
import type { Session } from '../session.ts';
import { limitOf } from './cert-list.ts';
import type { InvitedUserDocument, UserDocument } from './resources.ts';

/** Creates a user and prints the token to hand over. */
export const userCreate: Action = async (session, [name = ''], options) => {
  const api = await session.api();
  const displayName = textOption(options, 'displayName');
  const body = {
    name,
    roles: listOption(options, 'role'),
    ...(displayName ? { displayName } : {}),
  };
  await showInvited(session, 'Created', await api.post<InvitedUserDocument>('/users', body));
};

/** Makes a new token for a user. */
export const userInvite: Action = async (session, [name = '']) => {
  const api = await session.api();
  const invited = await api.post<InvitedUserDocument>(
    `/users/${encodeURIComponent(name)}/setup-token`,
    {},
  );
  await showInvited(session, 'Invited', invited);
};

/** Disables a user. */
export const userDisable: Action = async (session, [name = '']) => {
  await session.confirm(`This disables ${name} and revokes all of the user's API keys.`, name);
  const api = await session.api();
  const user = await api.post<UserDocument>(`/users/${encodeURIComponent(name)}/disable`, {});
  await session.output.result({
    data: user,
    names: [user.name],
    text: (style) => `${style.green(style.ok)} Disabled  ${user.name}\n`,
  });
};

/** Lists users. */
export const userList: Action = async (session, _args, options) => {
  const api = await session.api();
  const items = await api.list<UserDocument>('/users', limitOf(options));
  await session.output.result({
    data: { items },
    names: items.map((item) => item.name),
    text: (style) =>
      table(
        [
          { head: 'NAME', cell: (item) => item.name },
          { head: 'ROLES', cell: (item) => item.roles.join(',') },
          { head: 'STATUS', cell: (item) => item.status },
          { head: 'CREATED', cell: (item) => day(item.createdAt) },
          { head: 'ID', cell: (item) => item.userId },
        ],
        items,
        style,
      ),
  });
};

async function showInvited(
  session: Session,
  done: string,
  user: InvitedUserDocument,
): Promise<void> {
  const now = session.terminal.clock.now();
  const { server, caFile } = await session.context();
  await session.output.result({
    data: user,
    names: [user.setupToken],
    text: (style) => invitedText(done, user, now, style),
  });
  session.output.notice(
    `  on another machine add  --server ${server}${caFile ? ` --ca-file root.crt   (a copy of ${caFile})` : ''}`,
  );
}

function invitedText(done: string, user: InvitedUserDocument, now: number, style: Style): string {
  return [
    `${style.green(style.ok)} ${done}  ${user.name}   ${user.roles.join(', ')}`,
    `  hand over   gigvault setup ${user.setupToken}`,
    `  one use     until ${dayAndDistance(user.setupTokenExpiresAt, now)}`,
    '',
  ].join('\n');
}
