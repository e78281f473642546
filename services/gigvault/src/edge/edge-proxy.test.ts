import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { Readable } from 'node:stream';
import { connect as connectTls, createServer, type Server, type TLSSocket } from 'node:tls';
import { serverTls } from '@gigvault/rpc/mtls-identity';
import { SERVICE_NAMES, type ServiceName } from '@gigvault/rpc/service-name';
import { silentLog } from '@gigvault/telemetry/log';
import { clientAuthority } from '@gigvault/testkit/client-authority';
import { eventually } from '@gigvault/testkit/eventually';
import { exchangeRaw, openRaw } from '@gigvault/testkit/raw-connection';
import { createTestIdentities } from '@gigvault/testkit/test-identities';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type EdgeListener, startEdgeListener } from './edge-proxy.ts';

/** More than any pool of connections that one would think of. */
const SLOW_CLIENTS = 40;
/** Requests that the status listener has in hand for one service. */
const IN_HAND = 500;
/** More than the system's buffers take of an answer that nobody reads. */
const LARGE = Array.from({ length: 500 }, () => Buffer.alloc(64_000, 'x'));

const identities = createTestIdentities();
/** Octet by octet, what each connection of the edge to the service has brought. */
let received: string[] = [];
/** Who made each of these connections, and whether with a TLS session of before. */
let connections: { isReused: boolean; peer: string | undefined }[] = [];
const peerName = (socket: TLSSocket) => socket.getPeerCertificate().subjectaltname;
const identity = identities.identity('edge');
const open = new Set<Socket>();
let service: Server;
let edge: EdgeListener;
/** Takes client certificates. */
let publicEdge: EdgeListener;
const people = clientAuthority();

/** A service that reads nothing into what it gets: it answers once it has as many octets as the header says. */
beforeAll(async () => {
  // As the services' own listeners have it.
  const tls = { ...serverTls(identities.identity('ca')), requestCert: true };
  service = createServer({ ...tls, rejectUnauthorized: true }, (socket) => {
    open.add(socket);
    connections.push({ isReused: socket.isSessionReused(), peer: peerName(socket) });
    socket.on('error', () => undefined);
    const place = received.push('') - 1;
    const all = received;
    socket.on('data', (part) => {
      all[place] += part.toString('latin1');
      if (!isWhole(all[place]!) || all[place]!.includes(' /ca/never ')) return;
      const body = all[place]!.includes(' /ca/large ') ? LARGE : [Buffer.from('ok')];
      const length = body.length * body[0]!.length;
      socket.write(
        `HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\nconnection: keep-alive\r\nkeep-alive: timeout=9\r\n\r\n`,
      );
      Readable.from(body).pipe(socket);
    });
  });
  service.listen(0, '127.0.0.1');
  await once(service, 'listening');
  const address = `127.0.0.1:${(service.address() as AddressInfo).port}`;
  const shared = {
    host: '127.0.0.1',
    port: 0,
    identity,
    upstreams: Object.fromEntries(SERVICE_NAMES.map((name) => [name, address])) as Record<
      ServiceName,
      string
    >,
    log: silentLog,
  };
  edge = await startEdgeListener({ ...shared, listener: 'status' });
  const { certificate: cert, privateKey: key } = identity.current();
  publicEdge = await startEdgeListener({
    ...shared,
    listener: 'public',
    tls: { cert, key },
    certificatesOfClients: { mode: 'required-and-matching', authorities: people.certificate },
  });
});

afterEach(() => {
  for (const socket of open) socket.destroy();
  open.clear();
  received = [];
  connections = [];
});

afterAll(async () => {
  await Promise.all([edge.stop(0), publicEdge.stop(0)]);
  service.close();
});

const target = () => ({ port: edge.port, tls: false });

/** Sends one request and asks for the connection to be closed. */
const ask = (start: string, header = '', body = '') =>
  exchangeRaw(target(), `${start}\r\nhost: x\r\n${header}\r\n${body}`);

function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n');
  return (
    end >= 0 && text.length - end - 4 >= Number(/\r\ncontent-length: (\d+)/.exec(text)?.[1] ?? 0)
  );
}

/** What the service is told of a client that shows this, and writes the header itself. */
async function toldOf(client: object): Promise<unknown[]> {
  const socket = connectTls({
    port: publicEdge.port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ...client,
  });
  const forged = ['x-gigvault-client', 'X-GigVault-Client', 'X-Gigvault-CLIENT'];
  const lines = forged.map((name) => `${name}: eyJpc1JlcXVpcmVkIjpmYWxzZX0\r\n`).join('');
  socket.write(`GET /api/v1/certificates/1 HTTP/1.1\r\nhost: x\r\n${lines}${CLOSE}\r\n`);
  await once(socket.resume(), 'close');
  const values = [...(received.at(-1) ?? '').matchAll(/^x-gigvault-client: (.*)\r$/gim)];
  return values.map(([, value = '']) => JSON.parse(Buffer.from(value, 'base64url').toString()));
}

const POST = 'POST /ca/x HTTP/1.1';
const CLOSE = 'connection: close\r\n';
const CHUNKED = `${CLOSE}transfer-encoding: chunked\r\n`;
const CHUNKS = '1;a="0"\r\na\r\n02\r\nbc\r\n0\r\nx: y\r\n\r\n';

describe('what a service hears of a client’s certificate', () => {
  it('is what the edge has verified, whatever the client writes — covers: P7, T63', async () => {
    expect(await toldOf({})).toEqual([{ isRequired: true }]);
    const ada = people.issue({ commonName: 'ada', serialNumber: '1234' });
    const certificate = { name: 'ada', serialNumber: '1234', sha256: expect.any(String) };
    expect(await toldOf(ada)).toEqual([{ isRequired: true, certificate }]);
    const stranger = clientAuthority().issue({ commonName: 'ada', serialNumber: '1234' });
    const problem = expect.stringContaining('does not verify');
    expect(await toldOf(stranger)).toEqual([
      { isRequired: true, certificate: { ...certificate, name: undefined, problem } },
    ]);
  });

  it('is nothing where nobody is asked for one, and nothing that a client writes — covers: T63', async () => {
    await ask('GET /ca/x HTTP/1.1', `${CLOSE}x-gigvault-client: eyJpc1JlcXVpcmVkIjpmYWxzZX0\r\n`);
    expect(received).toHaveLength(1);
    expect(received[0]).not.toMatch(/x-gigvault-client/i);
  });
});

describe('what a service gets from the edge', () => {
  it.each([
    ['a body with its length', POST, `${CLOSE}content-length: 3\r\n`, 'abc'],
    ['a length with zeros', POST, `${CLOSE}content-length: 0003\r\n`, 'abc'],
    ['chunks, with extensions and a trailer', POST, CHUNKED, CHUNKS],
    [
      'a length that is said to mean this connection only',
      POST,
      'connection: close, content-length\r\ncontent-length: 3\r\n',
      'abc',
    ],
    [
      'headers that look like those of a length',
      POST,
      `${CLOSE}content_length: 9\r\ntransfer_encoding: chunked\r\ncontent-length: 3\r\n`,
      'abc',
    ],
    ['an expectation', POST, `${CLOSE}expect: 100-continue\r\ncontent-length: 3\r\n`, 'abc'],
    [
      'headers of this connection',
      POST,
      `${CLOSE}keep-alive: 5\r\nproxy-connection: x\r\nte: trailers\r\ntrailer: x\r\ncontent-length: 3\r\n`,
      'abc',
    ],
    ['a deletion with a body', 'DELETE /ca/x HTTP/1.1', `${CLOSE}content-length: 3\r\n`, 'abc'],
  ])(
    'is one request whose end nobody can doubt: %s — covers: T68',
    async (_what, start, header, body) => {
      expect(await ask(start, header, body)).toMatch(/HTTP\/1\.1 200 /);
      const [first = '', ...more] = received;
      expect(more).toEqual([]);
      const [head = '', sent] = first.split('\r\n\r\n');
      expect([sent, head.match(/^content-length: .*$/gm)]).toEqual(['abc', ['content-length: 3']]);
      expect(head).not.toMatch(
        /^(transfer-encoding|trailer|te|keep-alive|proxy-connection|expect):/m,
      );
    },
  );

  it.each([
    [
      'a body of a GET',
      'GET /ca/x HTTP/1.1',
      `${CLOSE}content-length: 40\r\n`,
      'GET /ca/smuggled HTTP/1.1\r\nhost: x\r\n\r\n.',
    ],
    ['chunks of a GET', 'GET /ca/x HTTP/1.1', CHUNKED, CHUNKS],
    [
      'an upgrade to HTTP/2',
      'GET /ca/x HTTP/1.1',
      'connection: close, upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n',
      '',
    ],
    [
      'an upgrade to something else',
      'GET /ca/x HTTP/1.1',
      'connection: close, upgrade\r\nupgrade: websocket\r\n',
      '',
    ],
  ])('is nothing but the request itself: %s — covers: T68', async (_what, start, header, body) => {
    expect(await ask(start, header, body)).toMatch(/^HTTP\/1\.1 200 /);
    expect(received).toEqual([
      expect.stringMatching(/^GET \/ca\/x HTTP\/1\.1\r\n[\s\S]*\r\n\r\n$/),
    ]);
    expect(received[0]).not.toMatch(/smuggled|^(content-length|upgrade|http2-settings):/m);
  });

  it('answers for the service, but not about its connection — covers: T68', async () => {
    // It ends, as this client has asked.
    const answer = await ask('GET /ca/x HTTP/1.1', CLOSE);
    expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\nconnection: close\r\n/i);
    expect(answer).not.toMatch(/keep-alive/);
  });

  it('says of its client what the edge knows, whatever the client says — covers: T68', async () => {
    const claims =
      'x-gigvault-listener: public\r\nx-forwarded-for: 6.6.6.6\r\nforwarded: for=6.6.6.6\r\ncontent-length: 3\r\n';
    const named = 'connection: close, x-gigvault-listener, x-forwarded-for\r\n';
    expect(await ask(POST, named + claims, 'abc')).toMatch(/^HTTP\/1\.1 200 /);
    expect(received[0]).toContain('\r\nx-gigvault-listener: status\r\n');
    expect(received[0]).toContain('\r\nx-forwarded-for: 127.0.0.1\r\n');
    expect(received[0]).not.toMatch(/6\.6\.6\.6|listener: public/);
  });
});

describe('connections to a service', () => {
  /** Over a new one. */
  async function once(): Promise<void> {
    expect(await ask('GET /ca/x HTTP/1.1', CLOSE)).toMatch(/^HTTP\/1\.1 200 /);
    for (const socket of open) socket.destroy();
    open.clear();
  }
  const edgeName = 'URI:spiffe://gigvault.test/service/edge';

  it('go on with the TLS session of the last one, until the identity is renewed', async () => {
    await once();
    // Its session comes after the answer, so the next connection may be too early for it.
    await eventually(async () => {
      await once();
      expect(connections.at(-1)).toEqual({ isReused: true, peer: edgeName });
    });
    identity.replace({ ...identity.current() });
    await once();
    expect(connections.at(-1)).toEqual({ isReused: false, peer: edgeName });
  });
});

describe('clients that take their time', () => {
  it('over a body hold no connection to a service — covers: T71', async () => {
    const clients = Array.from({ length: SLOW_CLIENTS }, () =>
      slow(`${POST}\r\nhost: x\r\ncontent-length: 90\r\n\r\nabc`),
    );
    await Promise.all(clients);
    expect(await ask('GET /ca/x HTTP/1.1', CLOSE)).toMatch(/^HTTP\/1\.1 200 /);
    expect(received.filter((text) => text.startsWith('POST'))).toEqual([]);
  });

  it('are told to come back when too many of one service’s answers are not out; another’s are not — covers: T71, T20', async () => {
    const clients: Socket[] = [];
    while (clients.length < IN_HAND) {
      const never = 'GET /ca/never HTTP/1.1\r\nhost: x\r\n\r\n';
      clients.push(...(await Promise.all(Array.from({ length: 100 }, () => slow(never)))));
    }
    await eventually(() => expect(received).toHaveLength(IN_HAND));
    const refused = await ask('GET /ca/x HTTP/1.1', CLOSE);
    expect(refused).toMatch(/^HTTP\/1\.1 503 [\s\S]*\r\nretry-after: 1\r\n/i);
    expect(refused).toContain('"code":"OVERLOADED"');
    expect(received).toHaveLength(IN_HAND);
    // Let in, and passed on: who is here is `ca`.
    expect(await ask('GET /ocsp/x HTTP/1.1', CLOSE)).toContain('ocsp cannot be reached now.');
    // Who hangs up gives no place back while the service is still at it.
    for (const socket of clients) socket.destroy();
    await Promise.all(clients.map((socket) => socket.closed || once(socket, 'close')));
    expect(await ask('GET /ocsp/x HTTP/1.1', CLOSE)).toContain('ocsp cannot be reached now.');
    expect(await ask('GET /ca/x HTTP/1.1', CLOSE)).toMatch(/^HTTP\/1\.1 503 /);
    expect(received).toHaveLength(IN_HAND);
    for (const socket of open) socket.destroy();
    await eventually(async () => {
      expect(await ask('GET /ca/x HTTP/1.1', CLOSE)).toMatch(/^HTTP\/1\.1 200 /);
    });
  });

  it('with a body that no status service takes are refused here — covers: T71', async () => {
    const whole = `${CLOSE}content-length: 10000\r\n`;
    expect(await ask(POST, whole, 'x'.repeat(10_000))).toMatch(/^HTTP\/1\.1 200 /);
    for (const [header, body] of [
      [`${CLOSE}content-length: 10001\r\n`, 'x'.repeat(10_001)],
      [CHUNKED, `2711\r\n${'x'.repeat(10_001)}\r\n0\r\n\r\n`],
    ] as const)
      expect(await ask(POST, header, body)).toMatch(/^HTTP\/1\.1 413 /);
    expect(received).toHaveLength(1);
  });

  it('over an answer hold none that others need — covers: T71', async () => {
    const clients = Array.from({ length: SLOW_CLIENTS }, () =>
      slow('GET /ca/large HTTP/1.1\r\nhost: x\r\n\r\n'),
    );
    await Promise.all(clients);
    await eventually(() => expect(received).toHaveLength(SLOW_CLIENTS));
    expect(await ask('GET /ca/x HTTP/1.1', CLOSE)).toMatch(/^HTTP\/1\.1 200 /);
  });

  /** Sends this, and then neither reads nor writes. */
  async function slow(text: string): Promise<Socket> {
    const socket = openRaw(target());
    open.add(socket);
    socket.on('error', () => undefined);
    socket.pause();
    await once(socket, 'connect');
    socket.write(text);
    return socket;
  }
});
