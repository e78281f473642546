import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { Client } from 'undici';

/** An account on a connection of its own: signs, sends, and remembers the nonce of the last answer. */
export interface AcmeConnection {
  readonly newOrder: string;
  /** Of the account's key (RFC 7638). */
  readonly thumbprint: string;
  /** @param payload '' is POST-as-GET. Rejects with the problem document of a refusal, whose `cause` is a Refusal. */
  post<T>(
    url: string,
    payload: object | '',
  ): Promise<{ readonly body: T; readonly location: string }>;
  /** POST-as-GET of something that is not JSON. */
  download(url: string): Promise<string>;
}

/** How a request was refused. */
export interface Refusal {
  readonly status: number;
  /** Seconds, as the server said; undefined when it did not. */
  readonly retryAfter: number | undefined;
  /** Whether a nonce came with it. */
  readonly hasNonce: boolean;
}

interface Directory {
  readonly newNonce: string;
  readonly newAccount: string;
  readonly newOrder: string;
}

interface Answer {
  readonly text: string;
  readonly location: string;
}

/** RFC 8555 §6.1 wants it. */
const AGENT = { 'user-agent': 'gigvault-bench' };

/** Opens a connection and an account with a new P-256 key. @param options.ca PEM; absent: the server is not verified */
export async function openAcmeConnection(options: {
  readonly directory: string;
  readonly ca?: string;
}): Promise<AcmeConnection> {
  const { origin } = new URL(options.directory);
  const tls = options.ca === undefined ? { rejectUnauthorized: false } : { ca: options.ca };
  const http = new Client(origin, { connect: tls, pipelining: 1, keepAliveTimeout: 60_000 });
  const directory = (await (
    await http.request({ method: 'GET', path: pathOf(options.directory), headers: AGENT })
  ).body.json()) as Directory;
  const signer = createSigner();
  let nonce = '';

  async function send(url: string, payload: object | ''): Promise<Answer> {
    if (nonce === '') {
      const { headers, body } = await http.request({
        method: 'HEAD',
        path: pathOf(directory.newNonce),
        headers: AGENT,
      });
      await body.dump();
      nonce = String(headers['replay-nonce']);
    }
    const { statusCode, headers, body } = await http.request({
      method: 'POST',
      path: pathOf(url),
      headers: { ...AGENT, 'content-type': 'application/jose+json' },
      body: signer.sign(url, nonce, payload),
    });
    const text = await body.text();
    nonce = String(headers['replay-nonce'] ?? '');
    if (statusCode < 300) return { text, location: String(headers['location'] ?? '') };
    if (text.includes('acme:error:badNonce')) return send(url, payload);
    const again = headers['retry-after'];
    const retryAfter = again === undefined ? undefined : Number(again);
    const cause: Refusal = { status: statusCode, retryAfter, hasNonce: nonce !== '' };
    throw new Error(`${url}: ${statusCode} ${text}`, { cause });
  }

  const account = await send(directory.newAccount, { termsOfServiceAgreed: true });
  signer.kid = account.location;
  return {
    newOrder: directory.newOrder,
    thumbprint: signer.thumbprint,
    async post<T>(url: string, payload: object | '') {
      const { text, location } = await send(url, payload);
      return { body: JSON.parse(text) as T, location };
    },
    download: async (url) => (await send(url, '')).text,
  };
}

function pathOf(url: string): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}

/** Signs flattened JWS with a new key: with `jwk` until `kid` is set. */
function createSigner() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { crv, kty, x, y } = publicKey.export({ format: 'jwk' });
  const jwk = { crv, kty, x, y };
  const signer = {
    kid: undefined as string | undefined,
    thumbprint: createHash('sha256').update(JSON.stringify(jwk)).digest('base64url'),
    sign(url: string, nonce: string, payload: object | ''): string {
      const by = signer.kid === undefined ? { jwk } : { kid: signer.kid };
      const head = base64url(JSON.stringify({ alg: 'ES256', ...by, nonce, url }));
      const content = payload === '' ? '' : base64url(JSON.stringify(payload));
      const signature = signInput(privateKey, `${head}.${content}`);
      return `{"protected":"${head}","payload":"${content}","signature":"${signature}"}`;
    },
  };
  return signer;
}

function signInput(key: KeyObject, input: string): string {
  const dsaEncoding = 'ieee-p1363' as const;
  return sign('sha256', Buffer.from(input), { key, dsaEncoding }).toString('base64url');
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url');
}
