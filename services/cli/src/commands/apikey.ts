import { usage } from '../failure.ts';
import { table } from '../output/table.ts';
import { day, dayAndDistance, parseSpan } from '../output/times.ts';
import { type Action, textOption } from '../program/command-spec.ts';
import type { ApiKeyDocument } from './resources.ts';

/** Creates an API key of the caller and prints it, this once. */
export const apikeyCreate: Action = async (session, [label = ''], options) => {
  const expiresIn = secondsOf(textOption(options, 'expiresIn'));
  const api = await session.api();
  const body = { label, ...(expiresIn === undefined ? {} : { expiresIn }) };
  const key = await api.post<ApiKeyDocument & { apiKey: string }>('/api-keys', body);
  session.output.notice('Shown this once: keep it where only you can read it.');
  await session.output.result({
    data: key,
    names: [key.apiKey],
    text: () => `${key.apiKey}\n`,
  });
};

/** Lists the caller's API keys. */
export const apikeyList: Action = async (session) => {
  const api = await session.api();
  const { items } = await api.get<{ items: ApiKeyDocument[] }>('/api-keys');
  const now = session.terminal.clock.now();
  await session.output.result({
    data: { items },
    names: items.map((item) => item.keyId),
    text: (style) =>
      table(
        [
          { head: 'ID', cell: (item) => item.keyId },
          { head: 'LABEL', cell: (item) => item.label },
          { head: 'STATUS', cell: (item) => statusOf(item, now) },
          {
            head: 'EXPIRES',
            cell: (item) => (item.expiresAt ? dayAndDistance(item.expiresAt, now) : 'never'),
          },
          {
            head: 'LAST USED',
            cell: (item) => (item.lastUsedAt ? dayAndDistance(item.lastUsedAt, now) : 'never'),
          },
          { head: 'CREATED', cell: (item) => day(item.createdAt) },
        ],
        items,
        style,
      ),
  });
};

/** Revokes one of the caller's API keys. */
export const apikeyRevoke: Action = async (session, [keyId = '']) => {
  await session.confirm(`This revokes the API key ${keyId}: what uses it stops to work.`, 'yes');
  const api = await session.api();
  await api.delete(`/api-keys/${encodeURIComponent(keyId)}`);
  await session.output.result({
    data: { keyId, revoked: true },
    names: [keyId],
    text: (style) => `${style.green(style.ok)} Revoked  ${keyId}\n`,
  });
};

function statusOf({ revokedAt, expiresAt }: ApiKeyDocument, now: number): string {
  if (revokedAt) return 'revoked';
  return expiresAt && Date.parse(expiresAt) <= now ? 'expired' : 'active';
}

function secondsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseSpan(text);
  if (!ms) throw usage(`"${text}" is not a time: write 90d or 12h.`);
  return Math.floor(ms / 1000);
}
