import { usage } from '../failure.ts';
import { table } from '../output/table.ts';
import { type Action, type CommandOptions, textOption } from '../program/command-spec.ts';
import type { ApiClient } from '../server/api-client.ts';
import { limitOf, withQuery } from './cert-list.ts';
import { namesOf } from './people.ts';
import type { AuditEntryDocument } from './resources.ts';

/** What the API gives at once. */
const PAGE = 1000;

/** Lists entries of the audit log in order: the newest, or those from an index on. */
export const auditList: Action = async (session, _args, options) => {
  const api = await session.api();
  const limit = limitOf(options);
  const start = startOf(options) ?? (await endOf(api)) - limit;
  const items = await entries(api, Math.max(0, start), limit);
  const nameOf = await namesOf(
    session,
    items.flatMap(({ event }) => (event === null ? [] : [event.actor])),
  );
  await session.output.result({
    data: { items },
    names: items.map(({ leafIndex }) => String(leafIndex)),
    text: (style) =>
      table(
        [
          { head: 'INDEX', cell: ({ leafIndex }) => String(leafIndex) },
          { head: 'TIME', cell: ({ event }) => event?.occurredAt ?? '' },
          { head: 'SERVICE', cell: ({ event }) => event?.producer ?? '' },
          { head: 'TYPE', cell: ({ event }) => event?.type ?? 'damaged' },
          { head: 'ACTOR', cell: ({ event }) => (event === null ? '' : nameOf(event.actor)) },
          { head: 'SUBJECT', cell: ({ event }) => event?.subject ?? '' },
        ],
        items,
        style,
      ),
  });
};

function startOf(options: CommandOptions): number | undefined {
  const text = textOption(options, 'start');
  if (text === undefined) return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw usage(`"${text}" is not an index: write a number from 0 on.`);
}

async function endOf(api: ApiClient): Promise<number> {
  const { treeSize } = await api.get<{ treeSize: number }>('/audit/checkpoint');
  return treeSize;
}

async function entries(
  api: ApiClient,
  from: number,
  limit: number,
): Promise<readonly AuditEntryDocument[]> {
  const found: AuditEntryDocument[] = [];
  for (let start: number | undefined = from; start !== undefined && found.length < limit; ) {
    const query = { start: String(start), limit: String(Math.min(PAGE, limit - found.length)) };
    const page: { items: AuditEntryDocument[]; nextStart?: number } = await api.get(
      withQuery('/audit/entries', query),
    );
    found.push(...page.items);
    start = page.nextStart;
  }
  return found;
}
