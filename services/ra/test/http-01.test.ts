import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Socket,
  type Server as TcpServer,
} from 'node:net';
import { gzipSync } from 'node:zlib';
import { systemClock } from '@gigvault/time/clock';
import { afterEach, describe, expect, it } from '@jest/globals';
import { dnsResolver } from '../src/adapters/dns-resolver.ts';
import { nodeHttpFetcher } from '../src/adapters/node-http-fetcher.ts';
import type { HopFetcher } from '../src/ports/hop-fetcher.ts';
import type { Resolver } from '../src/ports/resolver.ts';
import { type Http01Deps, validateHttp01 } from '../src/validation/http-01.ts';

const TOKEN = 'evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA';
const KEY_AUTHORIZATION = `${TOKEN}.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI`;
const PATH = `/.well-known/acme-challenge/${TOKEN}`;

const open: (Server | TcpServer)[] = [];
const sockets = new Set<Socket>();
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await Promise.all(
    open.splice(0).map((server) => new Promise((resolve) => server.close(resolve))),
  );
});

async function listen(server: Server | TcpServer): Promise<number> {
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(server);
  return (server.address() as AddressInfo).port;
}

const serve = (listener: RequestListener) => listen(createHttpServer(listener));
const serveRaw = (onSocket: (socket: Socket) => void) => listen(createTcpServer(onSocket));

function validate(port: number, change: Partial<Http01Deps> = {}, name = 'a.localhost') {
  const deps: Http01Deps = {
    resolver: dnsResolver({ development: true, servers: [], clock: systemClock }),
    fetcher: nodeHttpFetcher,
    clock: systemClock,
    rules: { development: true, allowedNetworks: [] },
    port,
    timeout: 5000,
    ...change,
  };
  const identifier = { type: 'dns', value: name };
  return validateHttp01(deps, {
    identifier,
    token: TOKEN,
    keyAuthorization: KEY_AUTHORIZATION,
    signal: AbortSignal.timeout(20_000),
  });
}

const redirectTo = (location: string, status = 302) =>
  serve((_request, response) => response.writeHead(status, { location }).end());

describe('http-01 that succeeds', () => {
  it('asks for the token over HTTP, says who it is for, and keeps what it saw as evidence', async () => {
    let seen = '';
    const port = await serve((request, response) => {
      seen = `${request.method} ${request.url} ${request.headers.host}`;
      response.end(`${KEY_AUTHORIZATION}\r\n `);
    });
    const { evidence, failure } = await validate(port);
    expect(failure).toBeUndefined();
    expect(seen).toBe(`GET ${PATH} a.localhost:${port}`);
    expect(evidence).toEqual({
      method: 'http-01',
      identifier: { type: 'dns', value: 'a.localhost' },
      hops: [
        {
          url: `http://a.localhost:${port}${PATH}`,
          addresses: ['127.0.0.1', '::1'],
          refused: [],
          address: '127.0.0.1',
          status: 200,
        },
      ],
      bodySha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  it.each([301, 302, 307, 308])('follows a %i redirect to another local name', async (status) => {
    const port = await serve((request, response) => {
      if (request.headers.host?.startsWith('b.')) return response.end(KEY_AUTHORIZATION);
      return response.writeHead(status, { location: `http://b.localhost:${port}/elsewhere` }).end();
    });
    const { evidence, failure } = await validate(port);
    expect(failure).toBeUndefined();
    expect(evidence.hops.map(({ status }) => status)).toEqual([status, 200]);
  });

  it('follows ten redirects', async () => {
    let hops = 0;
    const port = await serve((_request, response) =>
      hops++ < 10
        ? response.writeHead(302, { location: `/${hops}` }).end()
        : response.end(KEY_AUTHORIZATION),
    );
    expect((await validate(port)).failure).toBeUndefined();
  });

  it('falls back to the next address when a server is not there', async () => {
    const port = await serve((_request, response) => response.end(KEY_AUTHORIZATION));
    const resolver: Resolver = { resolve: async () => ['127.0.0.9', '127.0.0.1'] };
    const { evidence, failure } = await validate(port, { resolver });
    expect(failure).toBeUndefined();
    expect(evidence.hops[0]?.address).toBe('127.0.0.1');
  });
});

describe('http-01 redirects that are refused at connect (covers: T42, T73)', () => {
  it.each([
    ['the metadata service', 'http://169.254.169.254/latest/meta-data'],
    ['loopback', 'http://127.0.0.1/'],
    ['other loopback', 'http://127.8.9.1/'],
    ['loopback in decimal', 'http://2130706433/'],
    ['loopback in octal', 'http://0177.0.0.1/'],
    ['loopback in hexadecimal', 'http://0x7f000001/'],
    ['a short address', 'http://127.1/'],
    ['IPv6 loopback', 'http://[::1]/'],
    ['private use, 10/8', 'http://10.0.0.1/'],
    ['private use, 172.16/12', 'http://172.16.0.1/'],
    ['private use, 192.168/16', 'http://192.168.0.1/'],
    ['unique local', 'http://[fd00::1]/'],
    ['NAT64 of loopback', 'http://[64:ff9b::7f00:1]/'],
    ['IPv4-mapped loopback', 'http://[::ffff:127.0.0.1]/'],
    ['this network', 'http://0.0.0.0/'],
    ['a file', 'file:///etc/passwd'],
    ['gopher', 'gopher://a.localhost/'],
    ['another port', 'http://a.localhost:6379/'],
    ['another TLS port', 'https://a.localhost:8443/'],
    ['a user name', 'http://user:secret@a.localhost/'],
    ['a single label', 'http://intranet/'],
    ['nothing', ''],
    ['an unreadable URL', 'http://['],
  ])('%s: %s', async (what, location) => {
    const port = await redirectTo(location);
    const { evidence, failure } = await validate(port);
    if (what === 'nothing') {
      // An empty reference is the page itself: a loop, which the count of hops ends.
      expect(failure?.message).toMatch(/More than 10 redirects/);
      return;
    }
    expect(failure?.type).toBe('connection');
    expect(failure?.retry).toBe(false);
    expect(evidence.hops).toHaveLength(1);
  });

  it('an eleventh redirect', async () => {
    let requests = 0;
    const port = await serve((_request, response) =>
      response.writeHead(302, { location: `/${requests++}` }).end(),
    );
    const { failure } = await validate(port);
    expect(failure?.message).toMatch(/More than 10 redirects/);
    expect(requests).toBe(11);
  });

  it.each([300, 303, 304])('status %i, which is not a redirect here', async (status) => {
    const port = await redirectTo('/elsewhere', status);
    expect((await validate(port)).failure?.type).toBe('unauthorized');
  });

  it.each([
    '169.254.169.254',
    '127.0.0.1',
    '::1',
    '10.1.2.3',
    '100.64.0.1',
    '192.168.1.1',
    'fd00::1',
    'fe80::1',
    'fe80::1%eth0',
    'ff02::1',
    '64:ff9b::a00:1',
    '64:ff9b:1::1',
    '::ffff:10.0.0.1',
    '::10.0.0.1',
    '2002:7f00:1::',
    '2001:0:1::1',
    '224.0.0.1',
    '255.255.255.255',
  ])('a name whose address is %s', async (address) => {
    let requests = 0;
    const port = await serve((_request, response) => response.end(String(requests++)));
    const resolver: Resolver = { resolve: async () => [address] };
    const { evidence, failure } = await validate(port, { resolver }, 'www.corp.example');
    expect(failure?.message).toContain(`no address that may be validated: ${address}`);
    expect(evidence.hops[0]?.refused).toHaveLength(1);
    expect(requests).toBe(0);
  });

  it('a redirect from a public-looking name to a local one in the strict profile', async () => {
    const port = await redirectTo('http://a.localhost/');
    const resolver: Resolver = { resolve: async () => ['127.0.0.1'] };
    const rules = {
      development: false,
      allowedNetworks: [{ address: Buffer.from([127, 0, 0, 1]), prefix: 32 }],
    };
    const { failure } = await validate(port, { resolver, rules }, 'www.corp.example');
    expect(failure?.message).toMatch(/host must be a DNS name/);
  });
});

describe('http-01 and names that change their address (covers: T43, T73)', () => {
  it('connects to the address that was checked, and asks the resolver once per hop', async () => {
    let asked = 0;
    const resolver: Resolver = {
      async resolve() {
        asked++;
        return asked === 1 ? ['127.0.0.1'] : ['169.254.169.254'];
      },
    };
    const rules = {
      development: false,
      allowedNetworks: [{ address: Buffer.from([127, 0, 0, 0]), prefix: 8 }],
    };
    const port = await serve((_request, response) => response.end(KEY_AUTHORIZATION));
    const { evidence, failure } = await validate(port, { resolver, rules }, 'rebind.corp.example');
    expect(failure).toBeUndefined();
    expect(asked).toBe(1);
    expect(evidence.hops[0]?.address).toBe('127.0.0.1');
  });

  it('checks again at the next hop, where the same name has become private', async () => {
    let asked = 0;
    const resolver: Resolver = {
      async resolve() {
        asked++;
        return asked === 1 ? ['127.0.0.1'] : ['169.254.169.254'];
      },
    };
    const rules = {
      development: false,
      allowedNetworks: [{ address: Buffer.from([127, 0, 0, 0]), prefix: 8 }],
    };
    const port = await redirectTo('/again');
    const { failure } = await validate(port, { resolver, rules }, 'rebind.corp.example');
    expect(failure?.message).toMatch(/169\.254\.169\.254 \(link-local\)/);
  });
});

describe('http-01 servers that misbehave (covers: T44)', () => {
  it('an endless body is cut after 512 octets', async () => {
    let written = 0;
    const port = await serve((_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(16_384, 'a'))) written += 16_384;
      };
      response.on('drain', more);
      more();
    });
    const { failure } = await validate(port);
    expect(failure?.type).toBe('incorrectResponse');
    expect(written).toBeLessThan(64 * 1_048_576);
  });

  it('a gzip bomb stays compressed', async () => {
    const bomb = gzipSync(Buffer.alloc(50 * 1_048_576));
    const port = await serve((_request, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
    );
    const before = process.memoryUsage().rss;
    expect((await validate(port)).failure?.type).toBe('incorrectResponse');
    expect(process.memoryUsage().rss - before).toBeLessThan(40 * 1_048_576);
  });

  it('a compressed key authorization is not a key authorization', async () => {
    const port = await serve((_request, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(KEY_AUTHORIZATION)),
    );
    expect((await validate(port)).failure?.type).toBe('incorrectResponse');
  });

  it('the right text followed by more is refused', async () => {
    const port = await serve((_request, response) =>
      response.end(`${KEY_AUTHORIZATION}${' '.repeat(600)}x`),
    );
    expect((await validate(port)).failure?.type).toBe('incorrectResponse');
  });

  it.each([
    ['never answers', () => undefined],
    [
      'sends its headers for ever',
      (socket: Socket) => drip(socket, 'HTTP/1.1 200 OK\r\n', 'X-Slow: 1\r\n'),
    ],
    [
      'sends its body for ever',
      (socket: Socket) => drip(socket, 'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n', 'a'),
    ],
  ])('a server that %s is left after the timeout', async (_what, onSocket) => {
    const port = await serveRaw(onSocket);
    const started = performance.now();
    const { failure } = await validate(port, { timeout: 400 });
    expect(failure?.message).toMatch(/longer than 0.4 s/);
    expect(failure?.retry).toBe(false);
    expect(performance.now() - started).toBeLessThan(3000);
  });

  it('huge headers are refused', async () => {
    const port = await serveRaw((socket) => {
      socket.end(`HTTP/1.1 200 OK\r\nX-Huge: ${'a'.repeat(100_000)}\r\n\r\n${KEY_AUTHORIZATION}`);
    });
    expect((await validate(port)).failure?.type).toBe('connection');
  });

  it('what is not HTTP is refused', async () => {
    const port = await serveRaw((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
    expect((await validate(port)).failure?.message).toMatch(/did not answer with HTTP/);
  });

  it('an upgrade that nobody asked for is refused', async () => {
    const port = await serveRaw((socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n');
    });
    expect((await validate(port)).failure?.message).toMatch(/without an answer/);
  });

  it('a connection that closes at once, or within the body, is no answer', async () => {
    const closing = await serveRaw((socket) => socket.end());
    expect((await validate(closing)).failure?.type).toBe('connection');
    const half = await serveRaw((socket) =>
      socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n${KEY_AUTHORIZATION}`),
    );
    expect((await validate(half)).failure?.type).toBe('connection');
  });

  it('a server that is not there can be tried again', async () => {
    const port = await serve(() => undefined);
    await Promise.all(
      open.splice(0).map((server) => new Promise((resolve) => server.close(resolve))),
    );
    const { failure } = await validate(port);
    expect(failure?.type).toBe('connection');
    expect(failure?.retry).toBe(true);
  });

  it('name servers that are silent, and a network that is, can be asked again', async () => {
    const waits = (signal: AbortSignal) =>
      new Promise<never>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    const resolver: Resolver = { resolve: (_name, signal) => waits(signal) };
    const unresolved = await validate(80, { resolver, timeout: 50 });
    expect(unresolved.failure).toMatchObject({
      type: 'dns',
      retry: true,
      message: 'a.localhost was not resolved in 0.05 s',
    });
    const fetcher: HopFetcher = { fetch: ({ signal }) => waits(signal) };
    const unreached = await validate(80, { fetcher, timeout: 50 });
    expect(unreached.failure).toMatchObject({ type: 'connection', retry: true });
    expect(unreached.evidence.hops[0]?.address).toBeUndefined();
  });

  it.each([204, 401, 404, 500])('status %i is unauthorized', async (status) => {
    const port = await serve((_request, response) => response.writeHead(status).end());
    expect((await validate(port)).failure?.type).toBe('unauthorized');
  });

  it('what the server said is quoted without control characters', async () => {
    const port = await serve((_request, response) => response.end('\u001b[2Jhello\u0000'));
    const detail = (await validate(port)).failure?.message ?? '';
    expect(detail).toContain('?[2Jhello');
  });
});

/** Sends a little every 20 ms, for ever: timers of the fake server, not of the code under test. */
function drip(socket: Socket, start: string, piece: string): void {
  socket.write(start);
  const timer = setInterval(() => socket.write(piece), 20);
  socket.on('close', () => clearInterval(timer));
}
