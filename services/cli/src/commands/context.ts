import {
  type Context,
  configFolder,
  readContexts,
  writeContexts,
} from '../context/contexts-file.ts';
import { noContext } from '../context/selected-context.ts';
import { CliFailure } from '../failure.ts';
import { fieldLines, table } from '../output/table.ts';
import type { Action } from '../program/command-spec.ts';

/** Lists contexts. */
export const contextList: Action = async ({ terminal, output }) => {
  const { current, contexts } = await readContexts(configFolder(terminal));
  const items = Object.entries(contexts).map(([name, context]) => ({
    name,
    current: name === current,
    ...shown(context),
  }));
  await output.result({
    data: { current, items },
    names: items.map((item) => item.name),
    text: (style) =>
      table(
        [
          { head: 'CURRENT', cell: (item) => (item.current ? '*' : ' ') },
          { head: 'NAME', cell: (item) => item.name },
          { head: 'SERVER', cell: (item) => item.server },
          { head: 'ENVIRONMENT', cell: (item) => item.environment ?? '' },
        ],
        items,
        style,
      ),
  });
};

/** Makes a context the current one. */
export const contextUse: Action = async ({ terminal, output }, [name = '']) => {
  const folder = configFolder(terminal);
  const { contexts } = await readContexts(folder);
  findContext(contexts, name);
  await writeContexts(folder, { current: name, contexts });
  await output.result({
    data: { current: name },
    names: [name],
    text: (style) => `${style.green(style.ok)} Context  ${name}\n`,
  });
};

/** Shows a context, its credential left out. */
export const contextShow: Action = async ({ terminal, output, options }, [named]) => {
  const { current, contexts } = await readContexts(configFolder(terminal));
  const name = named ?? options.context ?? terminal.env['GIGVAULT_CONTEXT'] ?? current;
  const context = findContext(contexts, name);
  const data = {
    name,
    ...shown(context),
    hasApiKey: Boolean(context.apiKey ?? context.apiKeyFile),
  };
  await output.result({
    data,
    names: [name],
    text: (style) =>
      fieldLines(
        Object.entries(data).map(([key, value]) => [key, String(value)] as const),
        style,
      ),
  });
};

/** The context of this name. Fails when there is none. */
export function findContext(contexts: Readonly<Record<string, Context>>, name: string): Context {
  const context = Object.hasOwn(contexts, name) ? contexts[name] : undefined;
  if (context) return context;
  const known = Object.keys(contexts);
  if (known.length === 0) throw noContext(known);
  throw new CliFailure(name ? `There is no context "${name}".` : 'No context is chosen.', {
    code: 'NOT_FOUND',
    facts: known.map((other) => ({ subject: '', text: `known: ${other}` })),
    tries: [{ command: name ? 'gigvault context list' : 'gigvault context use <name>' }],
  });
}

function shown({ apiKey: _secret, ...rest }: Context): Omit<Context, 'apiKey'> {
  return rest;
}
