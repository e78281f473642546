import { cp, rm } from 'node:fs/promises';
import { isAbsolute, join, relative } from 'node:path';
import {
  type Context,
  checkContextName,
  configFolder,
  contextFolder,
  isWrittenByUp,
  readContexts,
  writeContexts,
} from '../context/contexts-file.ts';
import { CliFailure, usage } from '../failure.ts';
import type { Action } from '../program/command-spec.ts';
import { findContext } from './context.ts';

/** Renames a context. Its folder is copied first and removed last: whatever happens, the credential is where the file says. */
export const contextRename: Action = async ({ terminal, output }, [name = '', newName = '']) => {
  checkContextName(newName);
  const folder = configFolder(terminal);
  const { current, contexts } = await readContexts(folder);
  const context = findContext(contexts, name);
  if (Object.hasOwn(contexts, newName))
    throw new CliFailure(`There is a context "${newName}" already.`, {
      code: 'ALREADY_EXISTS',
      tries: [{ command: 'gigvault context list' }],
    });
  if (isWrittenByUp(name) || isWrittenByUp(newName))
    throw usage('`up` keeps the contexts local and ephemeral: they have these names.', {
      command: 'gigvault context list',
    });
  const [from, to] = [contextFolder(folder, name), contextFolder(folder, newName)];
  await rm(to, { recursive: true, force: true });
  await cp(from, to, { recursive: true }).catch(ignoreMissing);
  const renamed = Object.entries(contexts).map(([each, value]) =>
    each === name ? [newName, moved(folder, context, from, to)] : [each, value],
  );
  await writeContexts(folder, {
    current: current === name ? newName : current,
    contexts: Object.fromEntries(renamed),
  });
  await rm(from, { recursive: true, force: true });
  await output.result({
    data: { name: newName, was: name },
    names: [newName],
    text: (style) => `${style.green(style.ok)} Renamed  ${name} → ${newName}\n`,
  });
};

/** Removes a context with what lies in its folder. The account stays on the server. */
export const contextRemove: Action = async (session, [name = '']) => {
  const { terminal, output } = session;
  const folder = configFolder(terminal);
  const { contexts } = await readContexts(folder);
  const { server, environment } = findContext(contexts, name);
  const what = `This removes the context ${name} (${server}) and its API key from this machine.`;
  await session.confirm(what, environment === 'production' ? name : 'yes');
  const now = await readContexts(folder);
  const { [name]: _gone, ...left } = now.contexts;
  const current = now.current === name ? '' : now.current;
  await writeContexts(folder, { current, contexts: left });
  await rm(contextFolder(folder, name), { recursive: true, force: true });
  if (isWrittenByUp(name)) output.notice('  `npm run up` writes it again');
  else output.notice('  the account is still there: "gigvault user invite" lets it in again');
  await output.result({
    data: { name, removed: true, current },
    names: [name],
    text: (style) =>
      `${style.green(style.ok)} Removed  ${name}\n` +
      (current === '' && Object.keys(left).length > 0
        ? '  next      gigvault context use <name>\n'
        : ''),
  });
};

/** The context with the files of its own folder where they are now. */
function moved(folder: string, context: Context, from: string, to: string): Context {
  const follow = (path: string) => {
    const inside = relative(from, isAbsolute(path) ? path : join(folder, path));
    return inside.startsWith('..') || isAbsolute(inside) ? path : join(to, inside);
  };
  const { apiKeyFile, caFile, certFile, keyFile } = context;
  return {
    ...context,
    ...(apiKeyFile ? { apiKeyFile: follow(apiKeyFile) } : {}),
    ...(caFile ? { caFile: follow(caFile) } : {}),
    ...(certFile ? { certFile: follow(certFile) } : {}),
    ...(keyFile ? { keyFile: follow(keyFile) } : {}),
  };
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
