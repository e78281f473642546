import {
  apiKeyOf,
  type ContextOptions,
  type SelectedContext,
  selectContext,
} from './context/selected-context.ts';
import { CliFailure, usage } from './failure.ts';
import { createOutput, OUTPUT_FORMATS, type Output, type OutputFormat } from './output/output.ts';
import { parseSpan } from './output/times.ts';
import { createAccessTokens } from './server/access-tokens.ts';
import { type ApiClient, createApiClient } from './server/api-client.ts';
import { createHttpsClient, type HttpsClient } from './server/https-client.ts';
import type { Terminal } from './terminal.ts';

/** The global flags, as commander names them. */
export interface GlobalOptions extends ContextOptions {
  readonly output?: string;
  readonly quiet?: boolean;
  readonly color: boolean;
  readonly timeout?: string;
  readonly yes?: boolean;
  readonly input: boolean;
  readonly version?: boolean;
}

/** What a command works with. */
export interface Session {
  readonly terminal: Terminal;
  readonly output: Output;
  readonly options: GlobalOptions;
  /** The chosen context; the same at each call. */
  context(): Promise<SelectedContext>;
  /** The server of the chosen context. */
  api(): Promise<ApiClient>;
  /** The API of another server, or with another CA. */
  apiOf(context: SelectedContext): ApiClient;
  /**
   * Asks before something dangerous. Fails with exit 2 and the flag to add when nobody can answer, with exit 130 when the
   * answer is not the word.
   * @param word what must be typed: `yes`, or a name that makes people look.
   */
  confirm(what: string, word: string): Promise<void>;
  close(): void;
}

const DEFAULT_TIMEOUT = 30_000;

/** The session of one run. */
export function createSession(terminal: Terminal, options: GlobalOptions): Session {
  const output = createOutput(terminal, {
    format: outputFormat(options.output ?? terminal.env['GIGVAULT_OUTPUT'] ?? 'table'),
    quiet: options.quiet ?? false,
    noColor: !options.color,
  });
  const timeout = timeoutOf(options.timeout ?? terminal.env['GIGVAULT_TIMEOUT']);
  const open: HttpsClient[] = [];
  let selected: Promise<SelectedContext> | undefined;
  let client: Promise<ApiClient> | undefined;

  function context(): Promise<SelectedContext> {
    selected ??= selectContext(terminal, options);
    return selected;
  }

  function apiOf(chosen: SelectedContext): ApiClient {
    const { server, ca, client, folder } = chosen;
    const { clock, signal, version } = terminal;
    const userAgent = `gigvault/${version}`;
    const https = createHttpsClient({ server, ca, client, timeout, userAgent, signal });
    open.push(https);
    const apiKey = () => apiKeyOf(terminal, chosen);
    const hasCertificate = client !== undefined;
    return createApiClient(
      https,
      createAccessTokens({ https, server, folder, clock, apiKey, hasCertificate }),
    );
  }

  return {
    terminal,
    output,
    options,
    context,
    apiOf,
    api() {
      client ??= context().then(apiOf);
      return client;
    },
    confirm: (what, word) => confirm(terminal, options, what, word),
    close() {
      for (const https of open) https.close();
    },
  };
}

async function confirm(
  terminal: Terminal,
  options: GlobalOptions,
  what: string,
  word: string,
): Promise<void> {
  if (options.yes) return;
  if (!terminal.stdinIsTty || !options.input)
    throw usage(`${what} Nobody can be asked here: add --yes.`, { command: '--yes' });
  const answer = await terminal.ask(`${what}\nType "${word}" to go on: `);
  if (answer.trim() !== word)
    throw new CliFailure('stopped: nothing was changed', { code: 'CONFLICT', exitCode: 130 });
}

function outputFormat(text: string): OutputFormat {
  const found = OUTPUT_FORMATS.find((format) => format === text);
  if (!found) throw usage(`"${text}" is not an output format: use ${OUTPUT_FORMATS.join(', ')}.`);
  return found;
}

function timeoutOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_TIMEOUT;
  const ms = /^\d{1,6}$/.test(text) ? Number(text) * 1000 : parseSpan(text);
  if (!ms) throw usage(`"${text}" is not a timeout: write 30s or 2m.`);
  return ms;
}
