import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { systemClock } from '@gigvault/time/clock';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import type { Http01Responder } from './http-01-responder.ts';
import type { HttpAnswer, HttpClient } from './http-client.ts';

/** An order as the server tells it (RFC 8555 §7.1.3), with its URL. */
export interface AcmeOrder {
  readonly url: string;
  readonly status: 'pending' | 'ready' | 'processing' | 'valid' | 'invalid';
  readonly authorizations: readonly string[];
  readonly finalize: string;
  readonly certificate?: string;
  readonly error?: { readonly type: string; readonly detail: string };
}

/** What a client works with. */
export interface AcmeClientOptions {
  readonly http: HttpClient;
  /** As `https://localhost:8443`. */
  readonly publicUrl: string;
  readonly responder: Http01Responder;
  /** Milliseconds for which a request that got no answer, a 429 or a 5xx, is sent again. 0: not at all. */
  readonly patience: number;
  /** The same for a new order. Default: `patience`. */
  readonly orderPatience?: number;
}

/** An ACME client of RFC 8555 that can be impatient, stubborn, or many at once. */
export interface AcmeClient {
  /** Signs with the account's key and a fresh nonce; again after badNonce. A payload of '' is POST-as-GET. */
  post(url: string, payload: unknown): Promise<HttpAnswer>;
  newOrder(names: readonly string[]): Promise<AcmeOrder>;
  /** Solves every challenge and waits for the order to be ready. */
  prove(order: AcmeOrder): Promise<AcmeOrder>;
  /** Asks until the order is not processing any more. */
  settled(order: AcmeOrder): Promise<AcmeOrder>;
  /** Proof, finalize, download: the PEM chain. */
  finish(order: AcmeOrder, names: readonly string[]): Promise<string>;
  /** newOrder and finish. */
  certificate(names: readonly string[]): Promise<string>;
  /** Revokes by the account's key. */
  revoke(certificate: Buffer, reason: number): Promise<HttpAnswer>;
}

const POLL = 100;
const LIMIT = 60_000;

/** A client with a new account. */
export async function createAcmeClient(options: AcmeClientOptions): Promise<AcmeClient> {
  const { http, publicUrl, responder, patience, orderPatience = patience } = options;
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = publicKey.export({ format: 'jwk' });
  const thumbprint = createHash('sha256')
    .update(JSON.stringify({ crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y }))
    .digest('base64url');
  let kid: string | undefined;

  async function once(url: string, payload: unknown): Promise<HttpAnswer> {
    const fresh = await http.fetch(`${publicUrl}/acme/new-nonce`, { method: 'HEAD' });
    // The edge answers for a service that is being started again; that is no nonce.
    if (fresh.status >= 500) throw new Error(`no nonce: ${fresh.status}`);
    const nonce = String(fresh.headers['replay-nonce']);
    const by = kid === undefined ? { jwk } : { kid };
    const body = signJws(privateKey, { alg: 'ES256', ...by, nonce, url }, payload);
    const headers = { 'content-type': 'application/jose+json' };
    return http.fetch(url, { method: 'POST', headers, body });
  }

  async function post(url: string, payload: unknown, limit = patience): Promise<HttpAnswer> {
    const end = systemClock.now() + limit;
    for (;;) {
      try {
        const answer = await once(url, payload);
        const { status, text } = answer;
        const again = status >= 500 || status === 429 || text.includes('acme:error:badNonce');
        if (!again || systemClock.now() >= end) return answer;
      } catch (error) {
        if (systemClock.now() >= end) throw error;
      }
      await systemClock.sleep(POLL);
    }
  }

  const ask = async <T>(url: string, payload: unknown) =>
    expectSuccess(await post(url, payload)).json<T>();

  const read = async (url: string): Promise<AcmeOrder> => ({
    ...(await ask<AcmeOrder>(url, '')),
    url,
  });

  async function until(order: AcmeOrder, waiting: readonly string[]): Promise<AcmeOrder> {
    const end = systemClock.now() + LIMIT;
    let seen = order;
    while (waiting.includes(seen.status)) {
      if (systemClock.now() > end) throw new Error(`the order is still ${seen.status}`);
      await systemClock.sleep(POLL);
      seen = await read(order.url);
    }
    return seen;
  }

  const client: AcmeClient = {
    post,
    async newOrder(names) {
      const identifiers = names.map((value) => ({ type: 'dns', value }));
      const url = `${publicUrl}/acme/new-order`;
      const answer = expectSuccess(await post(url, { identifiers }, orderPatience));
      return { ...answer.json<AcmeOrder>(), url: String(answer.headers.location) };
    },
    async prove(order) {
      for (const url of order.authorizations) {
        const { status, challenges } = await ask<Authorization>(url, '');
        const challenge = challenges.find(({ type }) => type === 'http-01');
        if (status !== 'pending' || challenge === undefined) continue;
        responder.put(challenge.token, `${challenge.token}.${thumbprint}`);
        await ask(challenge.url, {});
      }
      return until(await read(order.url), ['pending']);
    },
    settled: async (order) => until(await read(order.url), ['processing']),
    certificate: async (names) => client.finish(await client.newOrder(names), names),
    async finish(begun, names) {
      const { csr } = newRequest(names);
      const order = await client.prove(begun);
      expectSuccess(await post(order.finalize, { csr }));
      const { certificate, error } = await client.settled(order);
      if (certificate === undefined) throw new Error(`no certificate: ${error?.detail}`);
      return expectSuccess(await post(certificate, '')).text;
    },
    revoke: (certificate, reason) =>
      post(`${publicUrl}/acme/revoke-cert`, {
        certificate: certificate.toString('base64url'),
        reason,
      }),
  };
  const account = await post(`${publicUrl}/acme/new-account`, { termsOfServiceAgreed: true });
  kid = String(expectSuccess(account).headers.location);
  return client;
}

/** A certification request for DNS names with a new P-256 key, in base64url as finalize wants it. */
export function newRequest(names: readonly string[]): { csr: string; privateKey: KeyObject } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const subjectAltName = names.map((value) => ({ type: 'dns' as const, value }));
  const der = buildCertificationRequest({ privateKey, subject: [], subjectAltName });
  return { csr: der.toString('base64url'), privateKey };
}

interface Authorization {
  readonly status: string;
  readonly challenges: readonly {
    readonly type: string;
    readonly url: string;
    readonly token: string;
  }[];
}

function signJws(privateKey: KeyObject, header: object, payload: unknown): string {
  const encode = (text: string) => Buffer.from(text).toString('base64url');
  const protectedHeader = encode(JSON.stringify(header));
  const content = payload === '' ? '' : encode(JSON.stringify(payload));
  const signature = sign('sha256', Buffer.from(`${protectedHeader}.${content}`), {
    key: privateKey,
    dsaEncoding: 'ieee-p1363',
  }).toString('base64url');
  return JSON.stringify({ protected: protectedHeader, payload: content, signature });
}

function expectSuccess(answer: HttpAnswer): HttpAnswer {
  if (answer.status >= 300) throw new Error(`${answer.status}: ${answer.text}`);
  return answer;
}
