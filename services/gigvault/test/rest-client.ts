import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HttpAnswer, HttpQuestion } from '@gigvault/testkit/http-client';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import { toPem } from '@gigvault/x509/pem';
import { beforeAll, expect } from '@jest/globals';
import type { SharedPki } from './use-pki.ts';

/** Where the REST API is mounted for clients that are not browsers. */
export const API = '/service/api/v1';

/** Headers by name. */
type Headers = Readonly<Record<string, string>>;

/** The REST API as the operator and as others see it. */
export interface RestClient {
  /** Any path of the public listener, with nothing added. */
  fetch(path: string, question?: HttpQuestion): Promise<HttpAnswer>;
  /** Below API, with the operator's token and a JSON body; a text is sent as it is. */
  call(method: string, path: string, body?: unknown, headers?: Headers): Promise<HttpAnswer>;
  /** The authorization header of a new user with this role. */
  signedIn(name: string, role: string): Promise<{ authorization: string }>;
  /** The access token for an API key. */
  exchange(apiKey: string): Promise<string>;
  /** The operator's own. */
  readonly token: string;
  readonly apiKey: string;
}

/** A client for all tests of a `describe`: signed in before them. */
export function useRest(shared: SharedPki): RestClient {
  let token = '';
  let apiKey = '';

  const client: RestClient = {
    fetch: (path, question = {}) => shared.http.fetch(shared.pki.publicUrl + path, question),
    call: (method, path, body, headers = {}) =>
      client.fetch(API + path, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          ...headers,
        },
        ...(body === undefined
          ? {}
          : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      }),
    async signedIn(name, role) {
      const created = await client.call('POST', '/users', { name, roles: [role] });
      const { setupToken } = created.json<{ setupToken: string }>();
      const redeemed = await client.call('POST', '/setup', { token: setupToken });
      const { apiKey: own } = redeemed.json<{ apiKey: string }>();
      return { authorization: `Bearer ${await client.exchange(own)}` };
    },
    async exchange(clientSecret) {
      const grant = { grantType: 'client_credentials', clientSecret };
      return (await client.call('POST', '/token', grant)).json<{ accessToken: string }>()
        .accessToken;
    },
    get token() {
      return token;
    },
    get apiKey() {
      return apiKey;
    },
  };

  beforeAll(async () => {
    const folder = join(shared.pki.home, 'config', 'gigvault', 'contexts', 'local');
    apiKey = readFileSync(join(folder, 'api-key'), 'utf8').trim();
    token = await client.exchange(apiKey);
  });
  return client;
}

/** A certification request for one DNS name, in PEM, with a key of its own. */
export function csr(name: string): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const subjectAltName = [{ type: 'dns' as const, value: name }];
  return toPem(
    'CERTIFICATE REQUEST',
    buildCertificationRequest({ privateKey, subject: [], subjectAltName }),
  );
}

/** Both shapes of an error (RFC 9457, and the required `error` member). Returns the document. */
export function expectProblem(
  answer: HttpAnswer,
  status: number,
  code: string,
): Record<string, unknown> {
  expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(code)]);
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  const document = answer.json<Record<string, unknown>>();
  const detail = expect.any(String);
  expect(document).toMatchObject({
    type: expect.stringContaining(`GV-${code.replaceAll('_', '-')}`),
    title: expect.any(String),
    status,
    detail,
    error: { code, message: detail, details: expect.any(Object) },
  });
  return document;
}
