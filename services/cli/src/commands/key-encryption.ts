import { resolve } from 'node:path';
import { type Action, type CommandOptions, textOption } from '../program/command-spec.ts';
import type { Session } from '../session.ts';
import { draftOutput, readOctets, refuseExisting } from './files.ts';
import { keyPath } from './key.ts';
import { octetsOf } from './key-use.ts';
import type { CiphertextDocument, PlaintextDocument } from './resources.ts';

const OWNER_ONLY = 0o600;

/** Encrypts the content of a file; stdout has the ciphertext alone. */
export const keyEncrypt: Action = async (session, [keyId = '', file = ''], options) => {
  const plaintext = (await readOctets(session.terminal, file)).toString('base64');
  const body = { plaintext, ...(await additionalData(session, options)) };
  const api = await session.api();
  const made = await api.post<CiphertextDocument>(`${keyPath(keyId)}/encrypt`, body);
  session.output.notice(`${made.algorithm} by version ${made.version} of ${made.keyId}`);
  await session.output.result({
    data: made,
    names: [made.ciphertext],
    text: () => `${made.ciphertext}\n`,
  });
};

/** Decrypts it again, into a file or as base64. */
export const keyDecrypt: Action = async (session, [keyId = '', file = ''], options) => {
  const { terminal } = session;
  const named = textOption(options, 'out');
  const out = named === undefined ? undefined : resolve(terminal.cwd, named);
  const force = options['force'] === true;
  if (out !== undefined)
    await refuseExisting([out], force, { command: '--out <file>', note: 'write another one' });
  const ciphertext = octetsOf(await readOctets(terminal, file)).toString('base64');
  const body = { ciphertext, ...(await additionalData(session, options)) };
  const api = await session.api();
  const opened = await api.post<PlaintextDocument>(`${keyPath(keyId)}/decrypt`, body);
  const { version, plaintext } = opened;
  session.output.notice(`encrypted by version ${version} of ${opened.keyId}`);
  if (out === undefined) {
    await session.output.result({
      data: opened,
      names: [plaintext],
      text: () => `${plaintext}\n`,
    });
    return;
  }
  const draft = await draftOutput(out, Buffer.from(plaintext, 'base64'), OWNER_ONLY, force);
  await draft.publish();
  await session.output.result({
    data: { keyId: opened.keyId, version, out: named },
    names: [out],
    text: ({ green, ok }) => `${green(ok)} Decrypted  ${named}\n`,
  });
};

async function additionalData(
  { terminal }: Session,
  options: CommandOptions,
): Promise<{ readonly additionalData?: string }> {
  const file = textOption(options, 'additionalData');
  if (file === undefined) return {};
  return { additionalData: (await readOctets(terminal, file)).toString('base64') };
}
