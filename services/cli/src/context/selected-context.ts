import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { CliFailure, type Try, usage, whyUnreadable } from '../failure.ts';
import type { Terminal } from '../terminal.ts';
import { type Context, configFolder, contextFolder, readContexts } from './contexts-file.ts';

/** The global flags that choose a server. */
export interface ContextOptions {
  readonly context?: string;
  readonly server?: string;
  readonly caFile?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** What is shown to servers that ask who is there (ADR 26). PEM. */
export interface ClientPair {
  readonly cert: string;
  readonly key: string;
}

/** The context of this run, with the flags applied. */
export interface SelectedContext extends Context {
  readonly name: string;
  /** The context's own folder: token, audit state. */
  readonly folder: string;
  /** PEM text of the roots to trust; undefined trusts the system's. */
  readonly ca?: string;
  /** Undefined shows none. */
  readonly client?: ClientPair;
}

const FALLBACK_NAME = 'local';

/**
 * The context that the flags, the environment (`GIGVAULT_CONTEXT`, `GIGVAULT_SERVER`, `GIGVAULT_CA_FILE`, `GIGVAULT_CERT`,
 * `GIGVAULT_KEY`) or the file name, in that order. Fails when there is none, when its CA is not the one that the context pins, or when its client
 * certificate has another key.
 */
export async function selectContext(
  terminal: Terminal,
  options: ContextOptions,
): Promise<SelectedContext> {
  const { name, context, known } = await chosenContext(terminal, options);
  if (!context) throw noContext(known);
  const caFile = options.caFile ?? terminal.env['GIGVAULT_CA_FILE'];
  return assemble(terminal, configFolder(terminal), name, {
    ...context,
    ...(caFile ? { caFile: resolve(terminal.cwd, caFile) } : {}),
    ...clientFiles(terminal, options),
  });
}

/** Of the client certificate and its key, absolute, as the flags or the environment name them. Fails for a key without its certificate. */
export function clientFiles(
  { env, cwd }: Pick<Terminal, 'env' | 'cwd'>,
  options: ContextOptions,
): Pick<Context, 'certFile' | 'keyFile'> {
  const cert = options.cert ?? env['GIGVAULT_CERT'];
  const key = options.key ?? env['GIGVAULT_KEY'];
  if (cert) return { certFile: resolve(cwd, cert), keyFile: resolve(cwd, key || cert) };
  if (key) throw usage('--key is of no use without its certificate: add --cert.');
  return {};
}

/** The context as it is stored, for what needs no server; none when nothing names one. Fails when the one that is named does not exist. */
export async function chosenContext(
  terminal: Terminal,
  options: ContextOptions,
): Promise<{ name: string; context?: Context; known: readonly string[] }> {
  const { current, contexts } = await readContexts(configFolder(terminal));
  const known = Object.keys(contexts);
  const wanted = options.context ?? terminal.env['GIGVAULT_CONTEXT'];
  const name = wanted ?? (current || FALLBACK_NAME);
  const stored = Object.hasOwn(contexts, name) ? contexts[name] : undefined;
  if (wanted !== undefined && !stored) throw noSuchContext(name, known);
  const server = options.server ?? terminal.env['GIGVAULT_SERVER'];
  if (!stored && !server) return { name, known };
  return { name, known, context: elsewhere(stored, server) };
}

/** The API key of a context: its file, or the text in it, or `GIGVAULT_API_KEY`. Undefined when there is none. */
export async function apiKeyOf(
  terminal: Terminal,
  context: SelectedContext,
): Promise<string | undefined> {
  const fromEnvironment = terminal.env['GIGVAULT_API_KEY'];
  if (fromEnvironment) return fromEnvironment;
  if (context.apiKeyFile) {
    const tries = [{ command: 'gigvault context show', note: 'where the API key should be' }];
    return (await readText(inFolder(configFolder(terminal), context.apiKeyFile), tries)).trim();
  }
  return context.apiKey;
}

/** 64 hex digits, lower case, of a SHA-256 fingerprint in any usual form. */
export function plainFingerprint(text: string): string {
  return text
    .toLowerCase()
    .replace(/^sha-?256[:=\s]*/, '')
    .replaceAll(/[^0-9a-f]/g, '');
}

/** SHA-256 of the first certificate of a PEM text, 64 hex digits. */
export function fingerprintOf(pem: string): string {
  return createHash('sha256').update(new X509Certificate(pem).raw).digest('hex');
}

/** A context's credentials are for its own server: with another `--server` they stay at home. */
function elsewhere(stored: Context | undefined, server: string | undefined): Context {
  const base = withoutSlash(server ?? stored?.server ?? '');
  if (stored && base === withoutSlash(stored.server)) return { ...stored, server: base };
  return { server: base };
}

async function assemble(
  terminal: Terminal,
  folder: string,
  name: string,
  context: Context,
): Promise<SelectedContext> {
  checkServer(context.server);
  const ca = context.caFile ? await readCa(inFolder(folder, context.caFile)) : undefined;
  if (ca !== undefined && context.rootFingerprint)
    checkFingerprint(ca, context.rootFingerprint, name);
  const { certFile, keyFile = certFile } = context;
  return {
    ...context,
    name,
    folder: contextFolder(configFolder(terminal), name),
    ...(ca === undefined ? {} : { ca: `${ca}\n${await serverCertificate(context)}` }),
    ...(certFile && keyFile
      ? { client: await readClient(inFolder(folder, certFile), inFolder(folder, keyFile)) }
      : {}),
  };
}

async function serverCertificate({ serverCertificateFile }: Context): Promise<string> {
  return serverCertificateFile === undefined ? '' : readCa(serverCertificateFile);
}

function checkServer(server: string): void {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url?.protocol !== 'https:') throw usage(`"${server}" is not an https:// address.`);
}

function checkFingerprint(ca: string, pinned: string, name: string): void {
  const found = fingerprintOf(ca);
  if (found === plainFingerprint(pinned)) return;
  throw new CliFailure(`The CA file of context "${name}" is not the root that the context pins.`, {
    code: 'INVALID_ARGUMENT',
    exitCode: 10,
    facts: [
      { subject: 'pinned', text: plainFingerprint(pinned) },
      { subject: 'found', text: found },
    ],
    tries: [{ command: `gigvault context show ${name}` }],
  });
}

async function readCa(path: string): Promise<string> {
  const tries = [{ command: '--ca-file root.crt', note: 'the root that `up` printed' }];
  const pem = await readText(path, tries);
  inPem(path, 'certificate', tries, () => fingerprintOf(pem));
  return pem;
}

async function readClient(certFile: string, keyFile: string): Promise<ClientPair> {
  const certTries = [{ command: '--cert client.pem', note: 'what the client authority issued' }];
  const keyTries = [{ command: '--key client.key', note: 'the private key of that certificate' }];
  const cert = await readText(certFile, certTries);
  const key = await readText(keyFile, keyTries);
  const certificate = inPem(certFile, 'certificate', certTries, () => new X509Certificate(cert));
  const privateKey = inPem(keyFile, 'private key without a passphrase', keyTries, () =>
    createPrivateKey(key),
  );
  if (certificate.checkPrivateKey(privateKey)) return { cert, key };
  throw usage(`${keyFile} holds another key than that of ${certFile}.`, ...keyTries);
}

function inPem<T>(path: string, what: string, tries: readonly Try[], read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new CliFailure(`${path} holds no ${what} in PEM form`, {
      code: 'INVALID_ARGUMENT',
      tries,
      cause,
    });
  }
}

async function readText(path: string, tries: readonly Try[]): Promise<string> {
  return readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new CliFailure(`cannot read ${path}: ${whyUnreadable(cause)}`, {
      code: 'INVALID_ARGUMENT',
      tries,
      cause,
    });
  });
}

function inFolder(folder: string, path: string): string {
  return isAbsolute(path) ? path : join(folder, path);
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, '');
}

/** The failure of a machine without a context, or with none chosen. */
export function noContext(known: readonly string[]): CliFailure {
  if (known.length > 0)
    return new CliFailure('no context is chosen', {
      code: 'UNAUTHENTICATED',
      facts: known.map((name) => ({ subject: '', text: `known: ${name}` })),
      tries: [{ command: 'gigvault context use <name>' }],
    });
  return new CliFailure('There is no context: this machine does not know a GigVault server.', {
    code: 'UNAUTHENTICATED',
    tries: [
      { command: 'npm run up', note: 'start one on this machine' },
      { command: 'gigvault setup <token> --server https://… --ca-file root.crt', note: 'join one' },
    ],
  });
}

function noSuchContext(name: string, known: readonly string[]): CliFailure {
  return new CliFailure(`There is no context "${name}".`, {
    code: 'NOT_FOUND',
    facts: known.map((other) => ({ subject: '', text: `known: ${other}` })),
    tries: [{ command: 'gigvault context list' }],
  });
}
