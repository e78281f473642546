import http from 'node:http';
import https from 'node:https';
import { isIP } from 'node:net';
import { type AddressRules, hostOf, refusalOf } from '@gigvault/egress/address-rules';
import { type DnsAddresses, dnsAddresses } from '@gigvault/egress/dns-addresses';
import type { Clock } from '@gigvault/time/clock';
import type { WebhookReply, WebhookSender } from '../ports/webhook-sender.ts';

const LIMIT = 10_000;
const MAX_HEADERS = 8_192;

/** Where a receiver may be, and how it is found. */
export interface WebhookSenderOptions {
  readonly rules: AddressRules;
  readonly clock: Clock;
  /** PEM of the CAs of the receiver; default: the public ones. */
  readonly ca?: Buffer | undefined;
  /** Name servers; default: the system's. */
  readonly servers?: readonly string[];
  /** Milliseconds for everything that one attempt does. Default ten seconds. */
  readonly limit?: number;
}

/**
 * Asks DNS once, checks the name's addresses, and connects to the first of them that the rules allow and that takes the connection (T73): no second
 * look-up can lead elsewhere. TLS is verified for the name of the URL. Redirects are answers as others; of the body nothing is read.
 */
export function httpsWebhookSender(options: WebhookSenderOptions): WebhookSender {
  const { rules, clock, ca, servers = [], limit = LIMIT } = options;
  const addressesOf = dnsAddresses({ development: rules.development, servers, clock });
  return {
    async post(url, headers, body, signal) {
      const within = AbortSignal.any([signal, AbortSignal.timeout(limit)]);
      const addresses = await allowedAddresses(rules, addressesOf, url, within);
      return sendToFirst(addresses, { url, headers, body, signal: within, ca });
    },
  };
}

/** @param addresses one at least */
async function sendToFirst(
  [address, ...others]: readonly string[],
  post: Omit<Post, 'address'>,
): Promise<WebhookReply> {
  try {
    return await send({ ...post, address: address as string });
  } catch (error) {
    if (others.length === 0 || !isNotThere(error)) throw error;
    return sendToFirst(others, post);
  }
}

/** Nobody has heard anything: another address of the same name may be asked. */
function isNotThere(error: unknown): boolean {
  const { code } = (error as { cause?: NodeJS.ErrnoException }).cause ?? {};
  return /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL)$/.test(code ?? '');
}

async function allowedAddresses(
  rules: AddressRules,
  addressesOf: DnsAddresses,
  url: URL,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const host = hostOf(url);
  const found = isIP(host) ? [host] : await addressesOf(host, signal).catch(unresolved(url));
  const refusals = found.map((address) => refusalOf(rules, address, host));
  const allowed = found.filter((_, i) => refusals[i] === undefined);
  if (allowed.length > 0) return allowed;
  const why = found.map((address, i) => `${address} (${refusals[i]})`).join(', ');
  throw new Error(`no address of ${host} may be connected to: ${why}`);
}

function unresolved(url: URL): (error: unknown) => never {
  return (cause) => {
    const isLate = (cause as Error).name === 'TimeoutError';
    const why = isLate ? 'its name is not resolved in time' : (cause as Error).message;
    throw new Error(`${url.host} cannot be told: ${why}`, { cause });
  };
}

interface Post {
  readonly url: URL;
  readonly address: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly signal: AbortSignal;
  readonly ca: Buffer | undefined;
}

function send({ url, address, headers, body, signal, ca }: Post): Promise<WebhookReply> {
  const options: https.RequestOptions = {
    host: address,
    port: url.port === '' ? undefined : Number(url.port),
    path: `${url.pathname}${url.search}`,
    method: 'POST',
    headers: {
      ...headers,
      host: url.host,
      'user-agent': 'GigVault-Notify',
      'content-length': Buffer.byteLength(body),
      connection: 'close',
    },
    agent: false,
    maxHeaderSize: MAX_HEADERS,
    signal,
  };
  const host = hostOf(url);
  return new Promise((resolve, reject) => {
    const request =
      url.protocol === 'http:'
        ? http.request(options)
        : https.request({ ...options, ca, servername: isIP(host) ? '' : host });
    request.once('response', (response) => {
      const { statusCode: status = 0, headers: answered } = response;
      const retryAfter = Number(answered['retry-after']);
      resolve(Number.isFinite(retryAfter) && retryAfter > 0 ? { status, retryAfter } : { status });
      response.destroy();
    });
    request.on('error', (error) => reject(failed(url, address, error)));
    request.end(body);
  });
}

/** In words without the path of the URL, which may hold a token. */
function failed(url: URL, address: string, error: NodeJS.ErrnoException): Error {
  const why = error.name === 'AbortError' ? 'no answer in time' : (error.code ?? error.message);
  return new Error(`${url.host} (${address}) cannot be told: ${why}`, { cause: error });
}
