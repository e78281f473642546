import { CliFailure } from '../failure.ts';
import { type Action, textOption } from '../program/command-spec.ts';
import { readOctets } from './files.ts';
import { keyPath } from './key.ts';
import type { SignatureDocument, VerdictDocument } from './resources.ts';

const BASE64 = /^[A-Za-z0-9+/\s]+={0,2}\s*$/;

/** Signs the content of a file; stdout has the signature alone. */
export const keySign: Action = async (session, [keyId = '', file = ''], options) => {
  const data = (await readOctets(session.terminal, file)).toString('base64');
  const format = textOption(options, 'format') ?? 'der';
  const api = await session.api();
  const signed = await api.post<SignatureDocument>(`${keyPath(keyId)}/sign`, { data, format });
  session.output.notice(`${signed.algorithm} by version ${signed.version} of ${signed.keyId}`);
  await session.output.result({
    data: signed,
    names: [signed.signature],
    text: () => `${signed.signature}\n`,
  });
};

/** Verifies a signature over the content of a file. Exit 10 when it is of no version of the key. */
export const keyVerify: Action = async (session, [keyId = '', file = ''], options) => {
  const { terminal, output } = session;
  const data = (await readOctets(terminal, file)).toString('base64');
  const signature = octetsOf(
    await readOctets(terminal, textOption(options, 'signature') ?? ''),
  ).toString('base64');
  const version = textOption(options, 'keyVersion');
  const verdict = await (await session.api()).post<VerdictDocument>(`${keyPath(keyId)}/verify`, {
    data,
    signature,
    format: textOption(options, 'format') ?? 'der',
    ...(version === undefined ? {} : { version: Number(version) }),
  });
  await output.result({
    data: verdict,
    names: verdict.version === undefined ? [] : [String(verdict.version)],
    text: ({ ok, bad, green, red }) =>
      verdict.valid
        ? `${green(ok)} Verified  by version ${verdict.version} of ${keyId}, a key that is ${verdict.state}\n`
        : `${red(bad)} by no version of ${keyId}\n`,
  });
  if (verdict.valid) return 0;
  throw new CliFailure(`the signature over ${file} does not verify`, {
    code: 'SIGNATURE_NOT_VERIFIED',
    tries: [{ command: '--format p1363', note: 'when r and s stand side by side' }],
  });
};

/** What a command printed as base64, or the octets themselves. */
export function octetsOf(content: Buffer): Buffer {
  const text = content.toString('latin1');
  return BASE64.test(text) ? Buffer.from(text, 'base64') : content;
}
