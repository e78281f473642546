import { formatSerialNumber } from '@gigvault/x509/serial-number';
import { usage } from '../failure.ts';
import { table } from '../output/table.ts';
import { dayAndDistance } from '../output/times.ts';
import { type Action, type CommandOptions, textOption } from '../program/command-spec.ts';
import type { CertificateItem } from './resources.ts';

const DEFAULT_LIMIT = 100;

/** The flag `--limit`. */
export function limitOf(options: CommandOptions): number {
  const text = textOption(options, 'limit');
  if (text === undefined) return DEFAULT_LIMIT;
  if (!/^[1-9]\d{0,5}$/.test(text))
    throw usage(`"${text}" is not a limit: write a number from 1 on.`);
  return Number(text);
}

/** A path with those query parameters that have a value. */
export function withQuery(
  path: string,
  query: Readonly<Record<string, string | undefined>>,
): string {
  const set = Object.entries(query).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return set.length === 0 ? path : `${path}?${new URLSearchParams(set)}`;
}

/** Lists certificates. */
export const certList: Action = async (session, _args, options) => {
  const api = await session.api();
  const query = { status: textOption(options, 'status'), commonName: textOption(options, 'cn') };
  const items = await api.list<CertificateItem>(
    withQuery('/certificates', query),
    limitOf(options),
  );
  const now = session.terminal.clock.now();
  await session.output.result({
    data: { items },
    names: items.map((item) => item.serialNumber),
    text: (style) =>
      table(
        [
          { head: 'SERIAL', cell: (item) => formatSerialNumber(item.serialNumber) },
          { head: 'NAME', cell: (item) => item.commonName || plainName(item.names[0] ?? '') },
          { head: 'PROFILE', cell: (item) => item.profile },
          { head: 'STATUS', cell: (item) => item.status },
          { head: 'EXPIRES', cell: (item) => dayAndDistance(item.notAfter, now) },
        ],
        items,
        style,
      ),
  });
};

/** `dns:a.b` as `a.b`. */
export function plainName(name: string): string {
  return name.replace(/^(dns|ip|email|uri):/, '');
}
