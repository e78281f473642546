import type { Style } from '../output/style.ts';
import { fieldLines, table } from '../output/table.ts';
import { type Action, textOption } from '../program/command-spec.ts';
import type { BackendDocument, BackendTestDocument } from './resources.ts';

/** Exit code of something that is there and is not well. */
const NOT_WELL = 10;

/** Lists the key backends with their health. */
export const backendsList: Action = async (session) => {
  const api = await session.api();
  const { items } = await api.get<{ items: readonly BackendDocument[] }>('/backends');
  await session.output.result({
    data: { items },
    names: items.map((item) => item.name),
    text: (style) =>
      table(
        [
          { head: 'NAME', cell: nameOf },
          { head: 'TYPE', cell: (item) => item.type },
          { head: 'HEALTH', cell: (item) => (item.healthy ? 'ok' : 'not well') },
          { head: 'LATENCY', cell: (item) => ms(item.latencyMs) },
          { head: 'FIPS', cell: fipsOf },
          { head: 'KEY TYPES', cell: (item) => (item.keyTypes ?? []).join(',') },
        ],
        items,
        style,
      ),
  });
};

/** Shows one backend. */
export const backendsInfo: Action = async (session, [name = '']) => {
  const api = await session.api();
  const backend = await api.get<BackendDocument>(pathOf(name));
  await session.output.result({
    data: backend,
    names: [backend.name],
    text: (style) =>
      fieldLines(
        [
          ['backend', nameOf(backend)],
          ['type', backend.type],
          ['what', backend.description ?? ''],
          ['health', backend.healthy ? 'ok' : (backend.problem ?? 'not well')],
          ['latency', ms(backend.latencyMs)],
          ['hardware', backend.hardware === true ? 'as it says' : 'no'],
          ['FIPS mode', fipsOf(backend)],
          ...(backend.uses === undefined
            ? ([['key types', (backend.keyTypes ?? []).join(', ')]] as const)
            : []),
          ['abilities', (backend.abilities ?? []).join(', ')],
        ],
        style,
      ) + usesTable(backend, style),
  });
  return backend.healthy ? undefined : NOT_WELL;
};

function usesTable({ uses = [] }: BackendDocument, style: Style): string {
  if (uses.length === 0) return '';
  return table(
    [
      { head: 'KEY TYPE', cell: (item) => item.keyType },
      { head: 'USES', cell: (item) => item.uses.join(', ') },
    ],
    uses,
    style,
  );
}

/** What a test did, by the usage of its key. */
const DONE = { sign: ['signed', 'verified'], encrypt: ['encrypted', 'decrypted'] } as const;

/** Makes a throw-away key there and uses it. */
export const backendsTest: Action = async (session, [name = ''], options) => {
  const api = await session.api();
  const test = await api.post<BackendTestDocument>(`${pathOf(name)}/test`, {
    keyType: textOption(options, 'keyType') ?? 'ec-p256',
  });
  await session.output.result({
    data: test,
    names: [name],
    text: (style) => {
      const { keyType, generationMs, useMs } = test;
      const [used, checked] = DONE[test.usage];
      return `${style.green(style.ok)} ${name} works: ${keyType} made in ${ms(generationMs)}, ${used} in ${ms(useMs)}, ${checked}, removed\n`;
    },
  });
};

function pathOf(name: string): string {
  return `/backends/${encodeURIComponent(name)}`;
}

function nameOf(backend: BackendDocument): string {
  return backend.default ? `${backend.name} (new keys)` : backend.name;
}

function fipsOf({ fips }: BackendDocument): string {
  return fips === undefined ? 'does not say' : fips ? 'on' : 'off';
}

function ms(milliseconds: number): string {
  return `${milliseconds.toFixed(1)} ms`;
}
