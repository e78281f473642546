import { fieldLines, table } from '../output/table.ts';
import { day } from '../output/times.ts';
import { type Action, type CommandOptions, textOption } from '../program/command-spec.ts';
import { limitOf } from './cert-list.ts';
import { namesOf } from './people.ts';
import type { KeyDocument, KeyWithVersionsDocument } from './resources.ts';

/** Generates a key in the key manager. */
export const keyGenerate: Action = async (session, [keyId = ''], options) => {
  const api = await session.api();
  const key = await api.post<KeyDocument>('/keys', {
    keyId,
    keyType: textOption(options, 'keyType') ?? 'ec-p256',
    ...given(options, 'usage'),
    ...given(options, 'backend'),
    ...(options['preActive'] === true ? { state: 'pre-active' } : {}),
  });
  await session.output.result({
    data: key,
    names: [key.keyId],
    pem: key.publicKey ?? '',
    text: (style) =>
      `${style.green(style.ok)} Generated  ${key.keyId}   ${key.keyType}   ${key.state}   backend ${key.backend}\n${key.publicKey ?? ''}`,
  });
};

function given(options: CommandOptions, name: 'usage' | 'backend'): Record<string, string> {
  const value = textOption(options, name);
  return value === undefined ? {} : { [name]: value };
}

/** Shows a key and its versions. */
export const keyGet: Action = async (session, [keyId = '']) => {
  const api = await session.api();
  const key = await api.get<KeyWithVersionsDocument>(keyPath(keyId));
  const nameOf = await namesOf(session, [key.owner]);
  await session.output.result({
    data: key,
    names: [key.keyId],
    pem: key.publicKey ?? '',
    text: (style) =>
      fieldLines(
        [
          ['key', key.keyId],
          ['type', key.keyType],
          ['usage', key.usage ?? 'sign'],
          ['state', stateOf(key)],
          ['owner', nameOf(key.owner)],
          ['purposes', key.purposes.join(', ')],
          ['created', day(key.createdAt)],
        ],
        style,
      ) +
      table(
        [
          { head: 'VERSION', cell: (item) => String(item.version) },
          { head: 'BACKEND', cell: (item) => item.backend },
          { head: 'CREATED', cell: (item) => day(item.createdAt) },
        ],
        key.versions,
        style,
      ),
  });
};

/** Where the API has a key. */
export function keyPath(keyId: string): string {
  return `/keys/${encodeURIComponent(keyId)}`;
}

/** The state, whether the private key is lost, and until when a destruction may be undone. */
export function stateOf({ state, destroyAt, lost }: KeyDocument): string {
  const known = lost === true ? `${state}, lost` : state;
  return destroyAt === undefined ? known : `${known}, to be destroyed on ${day(destroyAt)}`;
}

/** Lists keys. */
export const keyList: Action = async (session, _args, options) => {
  const api = await session.api();
  const wanted = ['state', 'backend'].flatMap((name) => {
    const value = textOption(options, name);
    return value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`];
  });
  const path = ['/keys', ...(wanted.length > 0 ? [wanted.join('&')] : [])].join('?');
  const items = await api.list<KeyDocument>(path, limitOf(options));
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
          { head: 'VERSION', cell: (item) => String(item.version) },
          { head: 'STATE', cell: stateOf },
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
