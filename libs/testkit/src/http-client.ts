import { type IncomingHttpHeaders, Agent as PlainAgent, request as plainRequest } from 'node:http';
import { Agent, type AgentOptions, request } from 'node:https';

/** What came back. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  /** The parsed body. Throws when it is not JSON. */
  json<T>(): T;
}

/** One request. */
export interface HttpQuestion {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

/** A client that lets a test send anything; it follows no redirects and never retries. */
export interface HttpClient {
  /** Rejects when there is no answer at all. */
  fetch(url: string, question?: HttpQuestion): Promise<HttpAnswer>;
  close(): void;
}

/**
 * @param ca the root to trust for https URLs, PEM
 * @param https how else a server is to be known; `maxSockets`: requests at one time over https, more wait here
 */
export function httpClient(ca?: string | Buffer, https: AgentOptions = {}): HttpClient {
  const secure = new Agent({ keepAlive: true, maxSockets: 64, ...(ca ? { ca } : {}), ...https });
  const plain = new PlainAgent({ keepAlive: true });
  return {
    fetch: (url, question = {}) => fetchWith({ secure, plain }, url, question),
    close() {
      secure.destroy();
      plain.destroy();
    },
  };
}

function fetchWith(
  agents: { secure: Agent; plain: PlainAgent },
  url: string,
  { method = 'GET', headers = {}, body }: HttpQuestion,
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const options = { method, headers: { ...length, ...headers }, timeout: 30_000 };
    const call = url.startsWith('https:')
      ? request(url, { ...options, agent: agents.secure })
      : plainRequest(url, { ...options, agent: agents.plain });
    call.on('timeout', () => call.destroy(new Error(`${method} ${url}: no answer in 30 s`)));
    call.on('error', reject);
    call.on('response', (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const content = Buffer.concat(parts);
        const text = content.toString();
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: content,
          text,
          json: <T>() => JSON.parse(text) as T,
        });
      });
    });
    call.end(body);
  });
}
