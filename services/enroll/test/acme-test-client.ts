import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import type { GeneralName } from '@gigvault/x509/general-name';
import type { AcmeWorld } from './acme-world.ts';
import { type JwsSigner, jwsSigner, signJws } from './jws-signer.ts';

/** What came back. */
export interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  /** Parsed body; {} when it is not JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into documents of every shape
  readonly json: any;
}

/** An ACME client that lets a test do everything wrong. */
export interface AcmeTestClient {
  readonly signer: JwsSigner;
  /** The account's URL, '' before newAccount. */
  readonly kid: string;
  raw(method: string, url: string, body?: Buffer, headers?: Record<string, string>): Promise<Reply>;
  nonce(): Promise<string>;
  /** Signs with kid, or jwk when there is no account yet. `header` is added or replaces; payload '' is POST-as-GET. */
  post(url: string, payload: unknown, header?: Record<string, unknown>): Promise<Reply>;
  /** Signs with another key, by its jwk. */
  postAs(signer: JwsSigner, url: string, payload: unknown): Promise<Reply>;
  newAccount(payload?: object): Promise<Reply>;
  /** An order for the names whose authorizations are valid. */
  readyOrder(...names: string[]): Promise<Reply>;
  /** Closes the connections that were kept, as when their server has gone. */
  disconnect(): void;
}

/** A new client with a new key. */
export function acmeTestClient(
  world: Pick<AcmeWorld, 'url' | 'rootPem'>,
  signer: JwsSigner = jwsSigner(),
): AcmeTestClient {
  const agent = new Agent({ ca: world.rootPem, keepAlive: true, maxSockets: 64 });
  const nonces: string[] = [];
  let kid = '';

  /** Keeps the nonces of good replies; those of problems are for tests to look at. */
  async function signed(url: string, body: Buffer): Promise<Reply> {
    const reply = await raw('POST', url, body);
    if (reply.status < 400) nonces.push(String(reply.headers['replay-nonce']));
    return reply;
  }

  const raw: AcmeTestClient['raw'] = (
    method,
    url,
    body,
    headers = { 'content-type': 'application/jose+json' },
  ) => send(agent, { method, url, headers, ...(body ? { body } : {}) });

  async function nonce(): Promise<string> {
    const kept = nonces.pop();
    if (kept !== undefined) return kept;
    return String((await raw('HEAD', `${world.url}/acme/new-nonce`)).headers['replay-nonce']);
  }

  const client: AcmeTestClient = {
    signer,
    get kid() {
      return kid;
    },
    raw,
    nonce,
    async post(url, payload, header = {}) {
      const by = kid === '' ? { jwk: signer.jwk } : { kid };
      const fresh = 'nonce' in header ? {} : { nonce: await nonce() };
      return signed(url, signJws(signer, { ...by, url, ...fresh, ...header }, payload));
    },
    async postAs(other, url, payload) {
      return signed(url, signJws(other, { jwk: other.jwk, url, nonce: await nonce() }, payload));
    },
    async newAccount(payload = { contact: ['mailto:admin@example.com'] }) {
      const reply = await client.post(`${world.url}/acme/new-account`, payload);
      if (reply.status < 300) kid = String(reply.headers.location);
      return reply;
    },
    async readyOrder(...names) {
      const identifiers = names.map((value) => ({ type: 'dns', value }));
      const order = await client.post(`${world.url}/acme/new-order`, { identifiers });
      for (const url of order.json.authorizations) {
        const authorization = await client.post(url, '');
        await client.post(authorization.json.challenges[0].url, {});
      }
      return client.post(String(order.headers.location), '');
    },
    disconnect: () => agent.destroy(),
  };
  return client;
}

/** A certification request for DNS names, with a key of its own unless one is given. */
export function csrFor(
  names: readonly string[],
  privateKey: KeyObject = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
): { readonly csr: string; readonly privateKey: KeyObject } {
  const subjectAltName = names.map((value): GeneralName => ({ type: 'dns', value }));
  const der = buildCertificationRequest({ privateKey, subject: [], subjectAltName });
  return { csr: der.toString('base64url'), privateKey };
}

function send(
  agent: Agent,
  message: { method: string; url: string; headers: Record<string, string>; body?: Buffer },
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      message.url,
      { agent, method: message.method, headers: message.headers },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.once('end', () => {
          const text = Buffer.concat(chunks).toString();
          const isJson = String(incoming.headers['content-type']).includes('json') && text !== '';
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            text,
            json: isJson ? JSON.parse(text) : {},
          });
        });
        incoming.once('error', reject);
      },
    );
    outgoing.once('error', reject);
    outgoing.end(message.body);
  });
}
