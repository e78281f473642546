import { readFileSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { readLocalSecret } from '@gigvault/config/secret';
import type { Clock } from '@gigvault/time/clock';
import { within } from '@gigvault/time/within';
import type { SecretPlace } from './secret-place.ts';
import { refused, SECRET_TIME, textMember, unreachable } from './secret-refusal.ts';
import type { VaultConfig } from './secrets.config.ts';

/** The field that is meant when the reference names none. */
const FIELD = 'value';
/** Octets of an answer at most; KV v2 keeps secrets of up to 1 MiB. */
const LONGEST = 2 * 1024 * 1024;

interface Answer {
  readonly status: number;
  readonly body: string;
}

/**
 * A field of a secret in a KV engine of version 2, of HashiCorp Vault or OpenBao: `vault://<mount>/<path>?version=<n>#<field>`.
 * Undefined: there is no such secret or version. Errors: INVALID_ARGUMENT, UNAVAILABLE.
 */
export async function vaultSecret(
  config: VaultConfig,
  place: SecretPlace,
  {
    environment,
    clock,
  }: {
    readonly environment: Readonly<Record<string, string | undefined>>;
    readonly clock: Clock;
  },
): Promise<string | undefined> {
  const [mount, ...path] = place.name.split('/');
  const url = new URL(`/v1/${mount}/data/${path.join('/')}`, config.address);
  if (place.version !== undefined) url.searchParams.set('version', place.version);
  const token = readLocalSecret(config.token, environment);
  const asking = new AbortController();
  const late = `${url.host} did not answer within ${SECRET_TIME} ms`;
  const answer = await within(clock, SECRET_TIME, ask(url, config, token, asking.signal), late)
    .catch((cause: unknown) => {
      throw unreachable(place, saidBy(cause as Error), cause);
    })
    .finally(() => asking.abort());
  return read(place, url, answer);
}

/** OpenSSL's own message names places in its source and ends in a line break: `…:error:<code>:<library>:<function>:<reason>:<file>:<line>:`. */
function saidBy({ message }: Error): string {
  const reason = /:error:[0-9A-F]+:[^:]*:[^:]*:([^:]+):/.exec(message)?.[1];
  return reason === undefined ? message : `TLS fails: ${reason}`;
}

function ask(
  url: URL,
  { namespace, caFile }: VaultConfig,
  token: string,
  signal: AbortSignal,
): Promise<Answer> {
  const headers = {
    'x-vault-token': token,
    // Vault's proxies refuse what a browser was led to send.
    'x-vault-request': 'true',
    ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }),
  };
  const ca = caFile === undefined ? undefined : readFileSync(caFile);
  return new Promise((resolve, reject) => {
    const hear = (answer: IncomingMessage): void => {
      readBody(answer).then((body) => resolve({ status: answer.statusCode ?? 0, body }), reject);
    };
    // A connection that is kept would keep the token with it (T66).
    const options = { headers, signal, agent: false } as const;
    const sent =
      url.protocol === 'https:'
        ? httpsRequest(url, { ...options, ...(ca === undefined ? {} : { ca }) }, hear)
        : httpRequest(url, options, hear);
    sent.on('error', reject);
    sent.end();
  });
}

async function readBody(answer: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of answer) {
    length += (part as Buffer).length;
    if (length > LONGEST) throw new Error('its answer is too long');
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString('utf8');
}

function read(place: SecretPlace, { host }: URL, { status, body }: Answer): string | undefined {
  if (status === 404) return undefined;
  if (status === 403)
    throw refused(place, `${host} does not let this token read it, or does not know the token`);
  // 429, 472, 473: a standby; 503: sealed, or in maintenance.
  if (status >= 429) throw unreachable(place, `${host} answers ${status}`);
  if (status !== 200) throw refused(place, `${host} answers ${status}`);
  return textMember(place, place.field ?? FIELD, dataOf(place, body));
}

/** Of `{ data: { data: {…}, metadata: {…} } }`. */
function dataOf(place: SecretPlace, body: string): unknown {
  try {
    const { data } = JSON.parse(body) as { data?: { data?: unknown; metadata?: unknown } };
    if (typeof data?.metadata === 'object') return data.data;
  } catch {
    // Told below, without the parser's message: it repeats what it was given.
  }
  throw refused(place, `'${place.name.split('/', 1)[0]}' is no KV engine of version 2`);
}
