import { lookup } from 'node:dns/promises';
import http from 'node:http';
import https from 'node:https';
import { isIP } from 'node:net';
import { type AddressRules, refusalOf } from '@gigvault/egress/address-rules';
import type { WebhookReply, WebhookSender } from '../ports/webhook-sender.ts';

/** Milliseconds for everything that one attempt does. */
const LIMIT = 10_000;
const MAX_HEADERS = 8_192;

/**
 * Looks the name up once, checks its addresses, and connects to the first of them that the rules allow (T73): no second look-up can lead elsewhere. TLS is
 * verified for the name of the URL. Redirects are answers as others; of the body nothing is read.
 *
 * @param ca PEM of the CAs of the receiver; default: the public ones
 */
export function httpsWebhookSender(rules: AddressRules, ca?: Buffer): WebhookSender {
  return {
    async post(url, headers, body, signal) {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(LIMIT)]);
      const address = await orAborted(limit, allowedAddress(rules, url), url);
      return send({ url, address, headers, body, signal: limit, ca });
    },
  };
}

/** A look-up cannot be ended: it is not waited for any more. */
function orAborted<T>(signal: AbortSignal, work: Promise<T>, url: URL): Promise<T> {
  const late = () => new Error(`${url.host} cannot be told: its name is not resolved in time`);
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(late()), { once: true });
    work.then(resolve, reject);
  });
}

async function allowedAddress(rules: AddressRules, url: URL): Promise<string> {
  const host = hostOf(url);
  const found = isIP(host)
    ? [host]
    : (await lookup(host, { all: true })).map(({ address }) => address);
  const refusals = found.map((address) => refusalOf(rules, address, host));
  const allowed = found.find((_, i) => refusals[i] === undefined);
  if (allowed !== undefined) return allowed;
  const why = found.map((address, i) => `${address} (${refusals[i]})`).join(', ');
  throw new Error(`no address of ${host} may be connected to: ${why}`);
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
    request.on('error', (error) => reject(failed(url, error)));
    request.end(body);
  });
}

function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1');
}

/** In words without the path of the URL, which may hold a token. */
function failed(url: URL, error: NodeJS.ErrnoException): Error {
  const why = error.name === 'AbortError' ? 'no answer in time' : (error.code ?? error.message);
  return new Error(`${url.host} cannot be told: ${why}`, { cause: error });
}
