import { table } from '../output/table.ts';
import { day } from '../output/times.ts';
import type { Action } from '../program/command-spec.ts';
import type { IssuerDocument } from './resources.ts';

/** Lists the issuing CAs by their keys. */
export const caList: Action = async (session) => {
  const api = await session.api();
  const { items } = await api.get<{ items: readonly IssuerDocument[] }>('/issuers');
  await session.output.result({
    data: { items },
    names: items.map((item) => item.issuerId),
    text: (style) =>
      table(
        [
          { head: 'ISSUER', cell: (item) => item.issuerId },
          { head: 'SUBJECT', cell: (item) => item.subject },
          { head: 'KEY', cell: (item) => item.keyType },
          { head: 'STATE', cell: (item) => item.state },
          { head: 'ENDS', cell: (item) => day(item.notAfter) },
        ],
        items,
        style,
      ),
  });
};
