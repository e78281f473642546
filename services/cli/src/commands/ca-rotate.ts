import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { CliFailure } from '../failure.ts';
import { day } from '../output/times.ts';
import { type Action, type CommandOptions, textOption } from '../program/command-spec.ts';
import type { ApiClient } from '../server/api-client.ts';
import type { Session } from '../session.ts';
import { draftOutput, readInput } from './files.ts';
import type { IssuerDocument, RotationDocument } from './resources.ts';
import { findRoot, requestedKey, signWithRoot } from './root-at-hand.ts';

/** Exit code for what waits for somebody. */
const PENDING = 8;
/** Milliseconds between two looks at an issuer that makes itself ready, and for how long. */
const LOOK = 500;
const PATIENCE = 120_000;

/**
 * Gives an issuing CA a new key. With the root at hand it signs and all is done here; else the request is written, and a second call hands the
 * certificate in. Repeated after whatever went wrong it goes on where it stood.
 */
export const caRotate: Action = async (session, [line = 'issuing'], options) => {
  const api = await session.api();
  const handedIn = textOption(options, 'certificate');
  if (handedIn !== undefined) {
    const certificate = await readInput(session.terminal, handedIn);
    return finish(session, await accept(api, line, certificate));
  }
  const generation = generationOf(options);
  await ask(session, await currentOf(api, line), generation);
  const progress = await api.post<RotationDocument>(
    `/issuers/${encodeURIComponent(line)}/rotate`,
    generation === undefined ? {} : { generation },
  );
  const { certificationRequest } = progress;
  if (certificationRequest === undefined) return finish(session, progress);
  const root = await findRoot(session, options);
  if (root === undefined)
    return handOver(session, progress, certificationRequest, textOption(options, 'csr'));
  const certificate = await signWithRoot(session, root, { ...progress, certificationRequest });
  return finish(session, await accept(api, line, certificate));
};

function generationOf(options: CommandOptions): number | undefined {
  const text = textOption(options, 'generation');
  if (text === undefined) return undefined;
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw new CliFailure(`"${text}" is not the number of a key.`, { code: 'INVALID_ARGUMENT' });
}

async function currentOf(api: ApiClient, line: string): Promise<IssuerDocument> {
  const { items } = await api.get<{ items: readonly IssuerDocument[] }>('/issuers');
  const current = items.find((item) => item.line === line && item.state === 'current');
  if (current) return current;
  throw new CliFailure(`there is no CA "${line}"`, {
    code: 'NOT_FOUND',
    tries: [{ command: 'gigvault ca list' }],
  });
}

/** Nothing is asked when that number was reached before: nothing will be done. */
async function ask(
  session: Session,
  { line, subject, generation }: IssuerDocument,
  wanted: number | undefined,
): Promise<void> {
  if (wanted !== undefined && wanted <= generation) return;
  await session.confirm(
    `This gives the CA ${subject} a new key, number ${generation + 1}. From then on it issues with that; what was issued before keeps its status until it ends.`,
    line,
  );
}

function accept(api: ApiClient, line: string, certificate: string): Promise<RotationDocument> {
  return api.post<RotationDocument>(`/issuers/${encodeURIComponent(line)}/successor`, {
    certificate,
  });
}

/** Waits until the new key issues. */
async function finish(session: Session, progress: RotationDocument): Promise<number | undefined> {
  const { clock, signal } = session.terminal;
  const api = await session.api();
  const look = async () => {
    const { items } = await api.get<{ items: readonly IssuerDocument[] }>('/issuers');
    return items.find((item) => item.issuerId === progress.issuerId) as IssuerDocument;
  };
  const giveUpAt = clock.now() + PATIENCE;
  let issuer = await look();
  while (issuer.state === 'prepared' && clock.now() < giveUpAt) {
    await clock.sleep(LOOK, signal);
    issuer = await look();
  }
  const { issuerId, subject, state, notAfter } = issuer;
  await session.output.result({
    data: issuer,
    names: [issuerId],
    text: ({ green, ok }) =>
      state === 'prepared'
        ? `${issuerId} is prepared and waits for OCSP and CRLs: gigvault ca list\n`
        : `${green(ok)} ${issuerId}   ${subject}   ${state}   until ${day(notAfter)}\n`,
  });
  return state === 'prepared' ? PENDING : undefined;
}

/** Both are signed by one key. An earlier file that is no request is not. */
function isSameKey(before: string, certificationRequest: string): boolean {
  const key = requestedKey(certificationRequest);
  try {
    return requestedKey(before).equals(key);
  } catch (error) {
    if (!(error instanceof GigvaultError)) throw error;
    return false;
  }
}

/** The root is on another machine. */
async function handOver(
  session: Session,
  { issuerId, line, generation }: RotationDocument,
  certificationRequest: string,
  file = `${issuerId}.csr`,
): Promise<number> {
  const path = resolve(session.terminal.cwd, file);
  // A request of an earlier call stays when it is for the same key, for its sum may be on its way; nothing but a request is replaced.
  const before = await readInput(session.terminal, file).catch(() => '');
  const isRequest = before.startsWith('-----BEGIN CERTIFICATE REQUEST-----');
  const request =
    isRequest && isSameKey(before, certificationRequest) ? before : certificationRequest;
  const draft = await draftOutput(path, request, 0o644, isRequest);
  await draft.publish();
  const sha256 = createHash('sha256').update(request).digest('hex');
  await session.output.result({
    data: { issuerId, line, generation, state: 'requested', file: path, sha256 },
    names: [issuerId],
    text: () =>
      [
        `The root signs the key of ${issuerId}; until then nothing changes.`,
        `  1. Carry ${file} to the root's machine. sha256 ${sha256}`,
        `  2. There: gigvault rootca sign --root ~/root --kind ${line} --csr ${file} --out ~/root/${issuerId}.crt`,
        '     A key with a passphrase takes --passphrase-file <file> as well; of one with shares, holders are asked for them.',
        `  3. Carry ${issuerId}.crt back: gigvault ca rotate ${line} --certificate ${issuerId}.crt`,
        '',
      ].join('\n'),
  });
  return PENDING;
}
