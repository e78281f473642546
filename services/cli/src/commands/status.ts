import { configFolder } from '../context/contexts-file.ts';
import { readKnownLogs } from '../context/known-logs.ts';
import type { SelectedContext } from '../context/selected-context.ts';
import { CliFailure } from '../failure.ts';
import type { Style } from '../output/style.ts';
import { fieldLines } from '../output/table.ts';
import { dayAndDistance } from '../output/times.ts';
import type { Action } from '../program/command-spec.ts';
import type { ApiClient } from '../server/api-client.ts';
import type { Session } from '../session.ts';
import { keyOf, parsedNote } from './audit-pin.ts';
import { certificatesOf } from './certificate-text.ts';
import type { WhoamiDocument } from './resources.ts';

interface Status {
  readonly context: string;
  readonly server: string;
  readonly ready: boolean;
  readonly version: string;
  readonly environment?: string;
  readonly user?: string;
  readonly roles?: readonly string[];
  readonly root?: { readonly fingerprint: string; readonly notAfter: string };
  readonly auditVerified?: { readonly size: number };
}

const NOT_READY = 9;

/** Shows the server and the caller. Exit 9 when the server is up but not ready. */
export const status: Action = async (session) => {
  const context = await session.context();
  const api = await session.api();
  const { version } = await api.anonymous<{ version: string }>('GET', '/version');
  const found: Status = {
    context: context.name,
    server: context.server,
    ready: await isReady(api),
    version,
    ...(context.environment ? { environment: context.environment } : {}),
    ...(await whoIsAsking(api)),
    ...rootOf(context),
    ...(await lastVerified(session, context)),
  };
  const now = session.terminal.clock.now();
  await session.output.result({
    data: found,
    names: [found.ready ? 'ready' : 'not-ready'],
    text: (style) => textOf(found, now, style),
  });
  return found.ready ? 0 : NOT_READY;
};

async function isReady(api: ApiClient): Promise<boolean> {
  try {
    await api.anonymous('GET', '/ready');
    return true;
  } catch (error) {
    // 503 says that it is not ready; no answer at all is a failure of this command.
    if (
      error instanceof CliFailure &&
      error.shownCode === 'GV-UNAVAILABLE' &&
      !error.message.startsWith('cannot reach')
    )
      return false;
    throw error;
  }
}

/** Nothing when nobody is signed in: the status is for everybody. */
async function whoIsAsking(api: ApiClient): Promise<{ user?: string; roles?: readonly string[] }> {
  try {
    const { name, roles } = await api.get<WhoamiDocument>('/whoami');
    return { user: name, roles };
  } catch (error) {
    if (error instanceof CliFailure && error.shownCode === 'GV-UNAUTHENTICATED') return {};
    throw error;
  }
}

function rootOf({ ca }: SelectedContext): { root?: Status['root'] } {
  if (!ca) return {};
  const [root] = certificatesOf(ca, 'the CA file');
  return root
    ? { root: { fingerprint: root.fingerprint256, notAfter: root.validToDate.toISOString() } }
    : {};
}

async function lastVerified(
  { terminal }: Session,
  context: SelectedContext,
): Promise<{ auditVerified?: { size: number } }> {
  const known = await readKnownLogs(configFolder(terminal));
  const key = keyOf(context, known);
  const log = known.find(({ publicKey }) => publicKey === key);
  return log ? { auditVerified: { size: parsedNote(log.checkpoint).size } } : {};
}

function textOf(found: Status, now: number, style: Style): string {
  return fieldLines(
    [
      ['server', found.server],
      ['status', `${found.ready ? style.ok : style.bad} ${found.ready ? 'ready' : 'not ready'}`],
      ['version', found.version],
      ['context', `${found.context}${found.environment ? ` (${found.environment})` : ''}`],
      ['user', found.user ? `${found.user} (${found.roles?.join(', ')})` : 'not signed in'],
      ...(found.root ? [['root', `SHA256 ${found.root.fingerprint}`] as const] : []),
      ...(found.root ? [['expires', dayAndDistance(found.root.notAfter, now)] as const] : []),
      [
        'audit',
        found.auditVerified
          ? `verified up to ${found.auditVerified.size} entries`
          : 'not verified yet: gigvault audit verify',
      ],
    ],
    style,
  );
}
