import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Context,
  checkContextName,
  configFolder,
  contextFolder,
  readContexts,
  writeContexts,
  writePrivateFile,
} from '../context/contexts-file.ts';
import {
  clientFiles,
  fingerprintOf,
  type SelectedContext,
  selectContext,
} from '../context/selected-context.ts';
import { CliFailure, usage } from '../failure.ts';
import { type Action, textOption } from '../program/command-spec.ts';
import { API_ROOT } from '../server/api-client.ts';
import type { Session } from '../session.ts';

interface Redeemed {
  readonly userId: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly apiKey: string;
}

/**
 * Redeems a one-use setup token, keeps the API key in a context of its own, `<user>@<context>` or what `--context` names, and makes it the current
 * one. Asks before it replaces a context. Everything that can fail on this machine is tried before the token is used up.
 */
export const setup: Action = async (session, [text = ''], options) => {
  const { token, origin } = parseToken(text);
  const replaced = await replacedContext(session);
  const base = await baseContext(session, origin, replaced !== undefined);
  if (replaced !== undefined) await confirmReplacement(session, replaced);
  await checkWritable(configFolder(session.terminal));
  const body = { token, ...nameOf(textOption(options, 'name')) };
  const redeemed = await session
    .apiOf(base)
    .anonymous<Redeemed>('POST', `${API_ROOT}/setup`, body)
    .catch((error) => Promise.reject(explained(error)));
  const name = await remember(session, base, redeemed);
  const { userId, name: user, roles } = redeemed;
  await session.output.result({
    data: { userId, name: user, roles, context: name, server: base.server },
    names: [user],
    text: (style) =>
      `${style.green(style.ok)} Signed in  ${user}   ${roles.join(', ')}\n` +
      `  context   ${name}   (the current one from now on)\n  check     gigvault whoami\n`,
  });
};

function explained(error: unknown): unknown {
  if (!(error instanceof CliFailure) || error.shownCode !== 'GV-UNAUTHENTICATED') return error;
  return error.withTries([
    { command: 'gigvault user invite <name>', note: 'an administrator makes another token' },
    { command: 'npm run up', note: "prints the first administrator's, until it is used" },
  ]);
}

/** Takes the token itself, or the link that `up` prints. */
function parseToken(text: string): { token: string; origin?: string } {
  const token = /gv_setup_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])/.exec(text)?.[0];
  if (!token)
    throw usage('That is not a setup token: it starts with gv_setup_ and has 52 characters.');
  return URL.canParse(text) ? { token, origin: new URL(text).origin } : { token };
}

function nameOf(name: string | undefined): { name?: string } {
  return name === undefined ? {} : { name };
}

/** The context that `--context` names, when there is one already. Fails for what cannot be a context's name. */
async function replacedContext({ terminal, options }: Session): Promise<Context | undefined> {
  if (options.context === undefined) return undefined;
  checkContextName(options.context);
  const { contexts } = await readContexts(configFolder(terminal));
  return Object.hasOwn(contexts, options.context) ? contexts[options.context] : undefined;
}

/** Whose account the token is for is known only when it is used up: somebody else's API key may be what is replaced. */
function confirmReplacement(
  { confirm, options: { context: name = '' } }: Session,
  { server, environment }: Context,
): Promise<void> {
  const what = `The context ${name} (${server}) is there already: this replaces it, and its API key is gone. Without --context the account gets a context of its own.`;
  return confirm(what, environment === 'production' ? name : 'yes');
}

/** The server to join: flags first, then the link's, then that of the context that is replaced, or of the current one. */
async function baseContext(
  { terminal, options }: Session,
  origin: string | undefined,
  isReplaced: boolean,
): Promise<SelectedContext> {
  const server = options.server ?? origin;
  const { context, ...flags } = options;
  return selectContext(terminal, {
    ...flags,
    ...(isReplaced && context !== undefined ? { context } : {}),
    ...(server === undefined ? {} : { server }),
  });
}

/** Fails before the token is used up when its API key could not be kept. */
async function checkWritable(folder: string): Promise<void> {
  const probe = join(folder, '.probe');
  try {
    await writePrivateFile(probe, '');
    await rm(probe);
  } catch (cause) {
    throw new CliFailure(`cannot write in ${folder}`, { code: 'INVALID_ARGUMENT', cause });
  }
}

async function remember(
  session: Session,
  base: SelectedContext,
  redeemed: Redeemed,
): Promise<string> {
  const folder = configFolder(session.terminal);
  const { contexts } = await readContexts(folder);
  const name =
    session.options.context ?? freeName(`${redeemed.name}@${placeOf(base, contexts)}`, contexts);
  checkContextName(name);
  const own = contextFolder(folder, name);
  await writePrivateFile(join(own, 'api-key'), `${redeemed.apiKey}\n`).catch((cause) => {
    // The token is used up: the key must not be lost with it.
    session.terminal.writeErr(
      `The API key, shown because it could not be stored: ${redeemed.apiKey}\n`,
    );
    throw new CliFailure(`cannot write in ${own}`, { code: 'INTERNAL', cause });
  });
  const caFile = base.ca === undefined ? {} : await keepCa(base.ca, own);
  const context: Context = {
    server: base.server,
    ...caFile,
    // Another user's certificate, of the context in which the token is redeemed, is no use to this one.
    ...clientFiles(session.terminal, session.options),
    apiKeyFile: join(own, 'api-key'),
    ...(base.environment ? { environment: base.environment } : {}),
    ...(base.auditPublicKey ? { auditPublicKey: base.auditPublicKey } : {}),
  };
  await writeContexts(folder, { current: name, contexts: { ...contexts, [name]: context } });
  return name;
}

async function keepCa(
  ca: string,
  folder: string,
): Promise<{ caFile: string; rootFingerprint: string }> {
  const caFile = join(folder, 'root.crt');
  await writePrivateFile(caFile, ca);
  return { caFile, rootFingerprint: fingerprintOf(ca) };
}

function placeOf(base: SelectedContext, contexts: Readonly<Record<string, Context>>): string {
  return Object.hasOwn(contexts, base.name) && contexts[base.name]?.server === base.server
    ? (base.name.split('@').at(-1) ?? base.name)
    : new URL(base.server).hostname.replaceAll(/[^A-Za-z0-9._-]/g, '-');
}

function freeName(wanted: string, contexts: Readonly<Record<string, Context>>): string {
  let name = wanted;
  for (let n = 2; Object.hasOwn(contexts, name); n++) name = `${wanted}-${n}`;
  return name;
}
