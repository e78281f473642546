import type { Style } from '../output/style.ts';
import { fieldLines } from '../output/table.ts';
import type { Action } from '../program/command-spec.ts';
import type { Session } from '../session.ts';
import type { MasterKeyDocument } from './resources.ts';

/** Shows which master key a backend has. */
export const masterKeyShow: Action = async (session, [name = '']) => {
  const api = await session.api();
  await show(session, await api.get<MasterKeyDocument>(pathOf(name)));
};

/** Gives a backend a new master key; the server puts its keys under it. */
export const masterKeyRotate: Action = async (session, [name = '']) => {
  await session.confirm(
    `This makes a new master key for ${name} and puts all its keys under it. From then on a backup needs the new one.`,
    'yes',
  );
  const api = await session.api();
  const { current } = await api.get<MasterKeyDocument>(pathOf(name));
  const asked = { replaces: current };
  await show(session, await api.post<MasterKeyDocument>(`${pathOf(name)}/rotate`, asked));
};

function show({ output }: Session, masterKey: MasterKeyDocument): Promise<void> {
  return output.result({
    data: masterKey,
    names: [masterKey.current],
    text: (style) => textOf(masterKey, style),
  });
}

function textOf({ current, earlier, keys, keysUnderEarlier }: MasterKeyDocument, style: Style) {
  const fields: [string, string][] = [
    ['master key', current],
    ['earlier', earlier.join(', ') || 'none'],
    ['keys', `${keys - keysUnderEarlier} of ${keys} under it`],
  ];
  if (keysUnderEarlier > 0)
    fields.push(['rotation', 'goes on; earlier ones that lie in files are removed at its end']);
  // One in a file is there for a moment more.
  else if (earlier.length > 0)
    fields.push([
      'rotation',
      'no key is under an earlier one; remove it from the configuration if it is named there',
    ]);
  return fieldLines(fields, style);
}

function pathOf(name: string): string {
  return `/backends/${encodeURIComponent(name)}/master-key`;
}
