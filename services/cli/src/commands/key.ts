import { table } from '../output/table.ts';
import { day } from '../output/times.ts';
import { type Action, textOption } from '../program/command-spec.ts';
import { limitOf } from './cert-list.ts';
import { namesOf } from './people.ts';
import type { KeyDocument } from './resources.ts';

/** Generates a key in the key manager. */
export const keyGenerate: Action = async (session, [keyId = ''], options) => {
  const api = await session.api();
  const key = await api.post<KeyDocument>('/keys', {
    keyId,
    keyType: textOption(options, 'keyType') ?? 'ec-p256',
  });
  await session.output.result({
    data: key,
    names: [key.keyId],
    pem: key.publicKey,
    text: (style) =>
      `${style.green(style.ok)} Generated  ${key.keyId}   ${key.keyType}   ${key.state}   backend ${key.backend}\n${key.publicKey}`,
  });
};

/** Lists keys. */
export const keyList: Action = async (session, _args, options) => {
  const api = await session.api();
  const items = await api.list<KeyDocument>('/keys', limitOf(options));
  const nameOf = await namesOf(
    session,
    items.map((item) => item.owner),
  );
  await session.output.result({
    data: { items },
    names: items.map((item) => item.keyId),
    text: (style) =>
      table(
        [
          { head: 'NAME', cell: (item) => item.keyId },
          { head: 'TYPE', cell: (item) => item.keyType },
          { head: 'STATE', cell: (item) => item.state },
          { head: 'BACKEND', cell: (item) => item.backend },
          { head: 'OWNER', cell: (item) => nameOf(item.owner) },
          { head: 'PURPOSES', cell: (item) => item.purposes.join(',') },
          { head: 'CREATED', cell: (item) => day(item.createdAt) },
        ],
        items,
        style,
      ),
  });
};
