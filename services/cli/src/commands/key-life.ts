import { type Action, textOption } from '../program/command-spec.ts';
import type { Session } from '../session.ts';
import { keyPath, stateOf } from './key.ts';
import type { KeyDocument } from './resources.ts';

/** Makes a new version of a key. */
export const keyRotate: Action = async (session, [keyId = ''], options) => {
  const api = await session.api();
  const version = textOption(options, 'keyVersion');
  const key = await api.post<KeyDocument>(
    `${keyPath(keyId)}/rotate`,
    version === undefined ? {} : { version: Number(version) },
  );
  await session.output.result({
    data: key,
    names: [key.keyId],
    pem: key.publicKey ?? '',
    text: ({ green, ok }) =>
      `${green(ok)} Rotated  ${key.keyId}   version ${key.version}   backend ${key.backend}\n${key.publicKey ?? ''}`,
  });
};

/** Takes a key out of use, for a while or for ever. */
export const keyDisable: Action = async (session, [keyId = ''], options) => {
  const state = textOption(options, 'as') ?? 'suspended';
  if (state !== 'suspended')
    await session.confirm(`This ends the use of the key ${keyId}, for ever: ${state}.`, 'yes');
  const reason = textOption(options, 'reason') ?? '';
  const key = await (await session.api()).post<KeyDocument>(`${keyPath(keyId)}/state`, {
    state,
    reason,
  });
  await shown(session, 'Disabled', key);
};

/** Takes a key into use: one that was disabled for a while, or was made for later. */
export const keyEnable: Action = async (session, [keyId = ''], options) => {
  const reason = textOption(options, 'reason') ?? '';
  const api = await session.api();
  const key = await api.post<KeyDocument>(`${keyPath(keyId)}/state`, { state: 'active', reason });
  await shown(session, 'Enabled', key);
};

/** Asks for the destruction of a key. */
export const keyDestroy: Action = async (session, [keyId = '']) => {
  await session.confirm(
    `This takes the key ${keyId} out of use at once and destroys it after a wait, with all its versions.`,
    'yes',
  );
  const key = await (await session.api()).delete<KeyDocument>(keyPath(keyId));
  await shown(session, 'Disabled', key);
  if (key.destroyAt !== undefined)
    session.output.notice(`gigvault key restore ${key.keyId} undoes it until then`);
};

/** Undoes that. */
export const keyRestore: Action = async (session, [keyId = '']) => {
  const api = await session.api();
  await shown(session, 'Restored', await api.post<KeyDocument>(`${keyPath(keyId)}/restore`, {}));
};

function shown(session: Session, done: string, key: KeyDocument): Promise<void> {
  return session.output.result({
    data: key,
    names: [key.keyId],
    text: ({ green, ok }) => `${green(ok)} ${done}  ${key.keyId}   ${stateOf(key)}\n`,
  });
}
