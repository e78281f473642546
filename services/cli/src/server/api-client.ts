import { CliFailure } from '../failure.ts';
import type { AccessTokens } from './access-tokens.ts';
import type { HttpsClient, HttpsReply } from './https-client.ts';
import { failureOf } from './problem.ts';

/** Where the REST API is mounted for clients that are not browsers. */
export const API_ROOT = '/service/api/v1';

/** The REST API, signed in. Paths are below API_ROOT. Every call throws the CliFailure that the server's problem tells of. */
export interface ApiClient {
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body: object): Promise<T>;
  put<T>(path: string, body: object): Promise<T>;
  delete<T = void>(path: string): Promise<T>;
  /** All items of a paged list, or the first `limit` of them. */
  list<T>(path: string, limit?: number): Promise<T[]>;
  /** Without a token; for what is public or whose body is the credential. */
  anonymous<T>(method: 'GET' | 'POST', absolutePath: string, body?: object): Promise<T>;
}

const PAGE = 100;

/** A client that signs in when the first call needs it, and once more when its token is refused. */
export function createApiClient(https: HttpsClient, tokens: AccessTokens): ApiClient {
  async function signedIn<T>(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: object,
  ): Promise<T> {
    const send = async (token: string | undefined) =>
      https.send({
        method,
        path: API_ROOT + path,
        ...json(body),
        headers: { ...json(body).headers, ...(token ? { authorization: `Bearer ${token}` } : {}) },
      });
    const token = await tokens.current();
    const first = await send(token);
    if (first.status !== 401 || token === undefined) return content<T>(first, path);
    return content<T>(await send(await tokens.renewed()), path);
  }

  const api: ApiClient = {
    get: (path) => signedIn('GET', path),
    post: (path, body) => signedIn('POST', path, body),
    put: (path, body) => signedIn('PUT', path, body),
    delete: <T>(path: string) => signedIn<T>('DELETE', path),
    async list<T>(path: string, limit = Number.POSITIVE_INFINITY) {
      const items: T[] = [];
      let cursor = '';
      do {
        const size = Math.min(PAGE, limit - items.length);
        const query = `${path.includes('?') ? '&' : '?'}limit=${size}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`;
        const page = await api.get<{ items: T[]; nextCursor?: string }>(path + query);
        items.push(...page.items);
        cursor = page.nextCursor ?? '';
      } while (cursor && items.length < limit);
      return items.slice(0, limit);
    },
    async anonymous<T>(method: 'GET' | 'POST', absolutePath: string, body?: object) {
      return content<T>(
        await https.send({ method, path: absolutePath, ...json(body) }),
        absolutePath,
      );
    },
  };
  return api;
}

function json(body: object | undefined): { body?: string; headers?: Record<string, string> } {
  return body === undefined
    ? {}
    : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
}

function content<T>(reply: HttpsReply, path: string): T {
  if (reply.status >= 400) throw failureOf(reply, path);
  if (reply.status === 204 || reply.body === '') return undefined as T;
  try {
    return JSON.parse(reply.body) as T;
  } catch (cause) {
    throw new CliFailure('the server answered something that is not JSON', { cause });
  }
}
