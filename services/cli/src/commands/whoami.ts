import { fieldLines } from '../output/table.ts';
import type { Action } from '../program/command-spec.ts';
import type { WhoamiDocument } from './resources.ts';

/** Shows who the caller is. */
export const whoami: Action = async (session) => {
  const context = await session.context();
  const me = await (await session.api()).get<WhoamiDocument>('/whoami');
  await session.output.result({
    data: { ...me, context: context.name, server: context.server },
    names: [me.name],
    text: (style) =>
      fieldLines(
        [
          ['name', me.name],
          ['roles', me.roles.join(', ')],
          ['may', me.permissions.join(', ')],
          ['context', `${context.name} (${context.server})`],
        ],
        style,
      ),
  });
};
