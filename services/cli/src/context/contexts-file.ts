import { chmod, mkdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeFileDurably } from '@gigvault/files/durable-file';
import { CliFailure, usage } from '../failure.ts';
import type { Terminal } from '../terminal.ts';

/** One server and who the user is there. README.md documents the file; `up` writes the same. */
export interface Context {
  /** As `https://localhost:8443`, without a trailing slash. */
  readonly server: string;
  /** PEM file of the only roots to trust; relative to the folder of contexts.yaml. */
  readonly caFile?: string;
  /** PEM file of the server's certificate and who signed it, where another CA than caFile's has; whoever is in it is trusted as well. Absolute. */
  readonly serverCertificateFile?: string;
  /** SHA-256 of the first certificate in caFile, 64 hex digits (colons and `SHA256` in front are fine). */
  readonly rootFingerprint?: string;
  /** PEM file of the client certificate to show, and of those above it; relative to the folder of contexts.yaml. */
  readonly certFile?: string;
  /** PEM file of its private key; default certFile. */
  readonly keyFile?: string;
  /** A file of mode 0600 that holds the API key; relative to the folder of contexts.yaml. */
  readonly apiKeyFile?: string;
  /** The API key itself; apiKeyFile wins. */
  readonly apiKey?: string;
  readonly environment?: 'development' | 'production';
  /** SubjectPublicKeyInfo of the audit log's key, DER in base64: checkpoints by any other key are refused. */
  readonly auditPublicKey?: string;
}

/** The file. */
export interface Contexts {
  readonly current: string;
  readonly contexts: Readonly<Record<string, Context>>;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;
const WRITTEN_BY_UP = /^(local|ephemeral)(-\d+)?$/;

/** `$XDG_CONFIG_HOME/gigvault`, by default `~/.config/gigvault`. */
export function configFolder({ env, homeDir }: Pick<Terminal, 'env' | 'homeDir'>): string {
  return join(env['XDG_CONFIG_HOME'] || join(homeDir, '.config'), 'gigvault');
}

/** Where a context keeps its token and what it has seen of the audit log. */
export function contextFolder(folder: string, name: string): string {
  return join(folder, 'contexts', name);
}

/** Whether `up` writes a context of this name, again at each start. */
export function isWrittenByUp(name: string): boolean {
  return WRITTEN_BY_UP.test(name);
}

/** Throws a usage failure unless the text can be a context's name: it becomes a folder's name. */
export function checkContextName(name: string): void {
  if (!NAME.test(name))
    throw usage(
      `"${name}" cannot be a context name: write 1 to 64 letters, digits and . _ @ - without a sign in front.`,
    );
}

/** The file's content; no contexts when there is no file. Fails when it is not what it should be. */
export async function readContexts(folder: string): Promise<Contexts> {
  const path = join(folder, 'contexts.yaml');
  const text = await readFile(path, 'utf8').catch(ignoreMissing);
  if (text === undefined) return { current: '', contexts: {} };
  const { mode } = await stat(path);
  if ((mode & 0o077) !== 0) await chmod(path, 0o600);
  const content: unknown = await parseYaml(path, text);
  if (!isContexts(content)) throw usage(`${path} is not a contexts file.`);
  for (const name of Object.keys(content.contexts)) checkContextName(name);
  return content;
}

/** Replaces the file: the old one or the new one is there at any time, mode 0600. */
export async function writeContexts(folder: string, contexts: Contexts): Promise<void> {
  const { stringify } = await import('yaml');
  const note =
    '# Contexts of the gigvault command. Written by `gigvault up`, `setup` and `context`. Holds credentials.\n';
  await writePrivateFile(
    join(folder, 'contexts.yaml'),
    note + stringify(contexts, { lineWidth: 0 }),
  );
}

/** Writes a file of mode 0600 in one step, and its folders of mode 0700 when they are not there. */
export async function writePrivateFile(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFileDurably(path, content, 0o600);
}

async function parseYaml(path: string, text: string): Promise<unknown> {
  const { parse } = await import('yaml');
  try {
    return parse(text);
  } catch (cause) {
    throw new CliFailure(`${path} is not YAML.`, { code: 'INVALID_ARGUMENT', cause });
  }
}

function isContexts(content: unknown): content is Contexts {
  const file = content as Partial<Contexts> | null;
  if (typeof file !== 'object' || file === null || typeof file.current !== 'string') return false;
  if (typeof file.contexts !== 'object' || file.contexts === null) return false;
  return Object.values(file.contexts).every((context) => typeof context?.server === 'string');
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}
