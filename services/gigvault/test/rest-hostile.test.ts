import { readFileSync } from 'node:fs';
import { connect } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { eventually } from '@gigvault/testkit/eventually';
import { MODES } from '@gigvault/testkit/pki-process';
import { exchangeRaw, type RawTarget } from '@gigvault/testkit/raw-connection';
import { describe, expect, it } from '@jest/globals';
import { quantile } from '../bench/statistics.ts';
import { BESIDE_HOSTILE } from './faults/limits.ts';
import { grpcCall, identitiesOf } from './grpc-call.ts';
import { continuationFlood, flood, rapidReset } from './hostile/http2-floods.ts';
import { openSlowClients, type SlowClients } from './hostile/slow-clients.ts';
import { AMBIGUOUS, ambiguousRequest } from './hostile/smuggling.ts';
import { API, csr, expectProblem, useRest } from './rest-client.ts';
import { QUICK_CRL, startAcmeClient, usePki } from './use-pki.ts';

const JWT = 'eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.eyJzdWIiOiJ4Iiwicm9sZXMiOlsiYWRtaW4iXX0.';
const LONG = 'x'.repeat(5_000);
/** Of a small body, which would become a large one. */
const BOMB = gzipSync(Buffer.alloc(50_000_000, ' '), { level: 9 });
/** Connections that send an octet now and then; the server has as many files as this process. The public listener's cost a TLS handshake each. */
const SLOW_CLIENTS = Math.min(10_000, Math.floor(openFiles() / 2));
const SLOW_TLS_CLIENTS = Math.min(150, Math.floor(SLOW_CLIENTS / 8));
/** Milliseconds in which they are opened, the TLS ones and the others; well below the header's ten seconds, so that all are there together. */
const OPENING = { tls: 1_500, plain: 3_000 };
/** Of them, those that send an octet between two requests of others. */
const DRIPS = 20;
/** Milliseconds: a header's ten seconds, and five between two looks at the clock. On a machine that is busy otherwise; a request has thirty. */
const SLOW_CLIENTS_END = 25_000;
const NOBODY = '00000000-0000-4000-8000-000000000000';

/** [method, path, body, status, code, what a person reads]; a text is sent as it is. */
const BAD_REQUESTS: readonly [string, string, unknown, number, string, RegExp][] = [
  ['POST', '/csrs', '{', 400, 'INVALID_ARGUMENT', /^The body is not JSON\.$/],
  ['POST', '/csrs', '[]', 400, 'INVALID_ARGUMENT', /^The body must be a JSON object\.$/],
  ['POST', '/csrs', {}, 400, 'INVALID_ARGUMENT', /^"certificationRequest" is missing\.$/],
  ['POST', '/csrs', { certificationRequest: 7 }, 400, 'INVALID_ARGUMENT', /must be a text\.$/],
  ['POST', '/csrs', { role: 'admin' }, 400, 'INVALID_ARGUMENT', /"role" is not known here/],
  ['POST', '/csrs', { reason: 'a\0b' }, 400, 'INVALID_ARGUMENT', /NUL/],
  ['POST', '/csrs', '{"a":1,"a":2}', 400, 'INVALID_ARGUMENT', /^The body names "a" twice\.$/],
  ['POST', '/csrs', '['.repeat(50_000), 400, 'INVALID_ARGUMENT', /nested deeper/],
  ['POST', '/csrs', `"${'x'.repeat(200_000)}"`, 413, 'PAYLOAD_TOO_LARGE', /too large/],
  ['POST', '/csrs', `"${'x'.repeat(900_000)}"`, 413, 'PAYLOAD_TOO_LARGE', /too large/],
  ['POST', '/keys', { keyType: 'rsa-512' }, 400, 'INVALID_KEY_TYPE', /is not one of ec-p256, /],
  ['POST', '/users', { name: 'x', roles: [] }, 400, 'INVALID_ARGUMENT', /at least 1 entry/],
  ['POST', '/users', { name: 'x', roles: ['root'] }, 400, 'INVALID_ARGUMENT', /"roles\[0\]" must/],
  ['POST', '/token', {}, 400, 'INVALID_ARGUMENT', /"grantType" is missing; "clientSecret" is/],
  [
    'GET',
    '/certificates?limit=0',
    undefined,
    400,
    'INVALID_ARGUMENT',
    /"limit" must be at least 1/,
  ],
  ['GET', '/certificates?limit=x', undefined, 400, 'INVALID_ARGUMENT', /"limit" must be a number/],
  ['GET', '/csrs?limit=1e9', undefined, 400, 'INVALID_ARGUMENT', /"limit" must be at most 200/],
  ['GET', '/csrs?limit=1&limit=2', undefined, 400, 'INVALID_ARGUMENT', /"limit" must be a number/],
  ['GET', '/users?limit=1.5', undefined, 400, 'INVALID_ARGUMENT', /must be a whole number/],
  ['GET', '/keys?foo=1', undefined, 400, 'INVALID_ARGUMENT', /parameter "foo" is not known here/],
  [
    'GET',
    '/certificates?cursor=zzz',
    undefined,
    400,
    'INVALID_ARGUMENT',
    /cursor is not one of ours/,
  ],
  ['GET', '/csrs?cursor=zzz', undefined, 400, 'INVALID_ARGUMENT', /cursor is not one of ours/],
  ['GET', '/users?cursor=%00', undefined, 400, 'INVALID_ARGUMENT', /control characters/],
  ['GET', '/users/%00', undefined, 400, 'INVALID_ARGUMENT', /control characters/],
  ['GET', '/users/%zz', undefined, 400, 'INVALID_ARGUMENT', /path/],
  ['GET', `/users/${LONG}`, undefined, 400, 'INVALID_ARGUMENT', /path is too long/],
  ['GET', '/certificates/xyz', undefined, 400, 'INVALID_ARGUMENT', /not a serial number/],
  ['GET', '/certificates/42', undefined, 404, 'CERTIFICATE_NOT_FOUND', /no certificate 42/],
  ['GET', `/csrs/${NOBODY}`, undefined, 404, 'REQUEST_NOT_FOUND', /no enrolment request/],
  ['POST', `/csrs/${NOBODY}/approve`, {}, 404, 'REQUEST_NOT_FOUND', /no enrolment request/],
  ['GET', '/keys/none', undefined, 404, 'KEY_NOT_FOUND', /'none' not found/],
  ['GET', '/users/none', undefined, 404, 'USER_NOT_FOUND', /no user "none"/],
  ['DELETE', '/api-keys/none', undefined, 404, 'NOT_FOUND', /no API key "none"/],
  ['GET', '/certificates/..%2fusers', undefined, 400, 'INVALID_ARGUMENT', /serial|understood/],
  ['GET', '/nothing', undefined, 404, 'NOT_FOUND', /nothing at .*nothing\.$/],
  ['GET', '//users', undefined, 404, 'NOT_FOUND', /nothing at .*: write one slash\.$/],
];

describe.each(MODES)('the REST API and hostile clients, %s', (mode) => {
  const shared = usePki(mode, ...QUICK_CRL);
  const rest = useRest(shared);
  const { fetch, call } = rest;

  it('says to each in a sentence what is wrong — covers: T70, T71', async () => {
    for (const [method, path, body, status, code, sentence] of BAD_REQUESTS) {
      const { detail } = expectProblem(await call(method, path, body), status, code);
      expect([path, detail]).toEqual([path, expect.stringMatching(sentence)]);
      expect(detail).not.toMatch(/expected|received|undefined|NaN|invalid input|FST_/i);
    }
  });

  it('knows each path by its methods', async () => {
    for (const method of ['DELETE', 'PUT', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND']) {
      const answer = await call(method, '/certificates');
      expectProblem(answer, 405, 'METHOD_NOT_ALLOWED');
      expect(answer.headers.allow).toBe('GET, HEAD, POST');
    }
    const head = await call('HEAD', '/certificates');
    expect([head.status, head.text]).toEqual([200, '']);
    expect((await call('HEAD', '/certificates', undefined, { authorization: '' })).status).toBe(
      401,
    );
  });

  it('reads one kind of body, and no coded one', async () => {
    for (const [name, value] of [
      ['content-type', 'application/xml'],
      ['content-type', 'application/x-www-form-urlencoded'],
      ['content-type', ''],
      ['content-type', 'nothing;;;'],
      ['content-encoding', 'gzip'],
    ] as const) {
      const answer = await call('POST', '/csrs', '{}', { [name]: value });
      expectProblem(answer, 415, 'UNSUPPORTED_MEDIA_TYPE');
    }
  });

  it('never leaves a path by another', async () => {
    for (const path of ['//users', '/Users', '/users;x', '/certificates/..%2fusers']) {
      const answer = await call('GET', path);
      expect([path, answer.status < 500 && answer.status >= 400]).toEqual([path, true]);
      expect(answer.headers['content-type']).toBe('application/problem+json');
    }
  });

  it('believes no token but its own, and says whether one came — covers: T63', async () => {
    const [header = '', payload = '', signature = ''] = rest.token.split('.');
    const forged = [
      `${rest.token}x`,
      `${header}.${payload}.${signature.split('').reverse().join('')}`,
      `${header}.${Buffer.from('{"sub":"x","exp":9999999999}').toString('base64url')}.${signature}`,
      JWT,
      'x'.repeat(10_000),
    ];
    for (const token of forged) {
      const answer = await call('GET', '/whoami', undefined, { authorization: `Bearer ${token}` });
      expectProblem(answer, 401, 'UNAUTHENTICATED');
      expect(answer.headers['www-authenticate']).toBe(
        'Bearer realm="gigvault", error="invalid_token"',
      );
    }
    const nobody = await fetch(`${API}/whoami`);
    expectProblem(nobody, 401, 'UNAUTHENTICATED');
    expect(nobody.headers['www-authenticate']).toBe('Bearer realm="gigvault"');
  });

  it('takes one Idempotency-Key for one request', async () => {
    const headers = { 'idempotency-key': 'k'.repeat(255) };
    const first = { certificationRequest: csr('first.localhost') };
    const second = { certificationRequest: csr('second.localhost') };
    expect((await call('POST', '/csrs', first, headers)).status).toBe(201);
    const refused = await call('POST', '/csrs', second, headers);
    expect(expectProblem(refused, 409, 'ALREADY_EXISTS')['detail']).toBe(
      'This Idempotency-Key was used for another request.',
    );
    for (const key of ['', 'k'.repeat(256)])
      expectProblem(
        await call('POST', '/csrs', first, { 'idempotency-key': key }),
        400,
        'INVALID_ARGUMENT',
      );
  });

  it('sees one end of each request, or closes — covers: T68', async () => {
    const { ports } = shared.pki;
    const listeners: readonly [RawTarget, string][] = [
      [{ port: ports.https, tls: true }, '/acme/new-order'],
      [{ port: ports.http, tls: false }, '/ocsp'],
    ];
    const answers = listeners.flatMap(([target, path]) =>
      AMBIGUOUS.map(async ([what, header, body]) => {
        const answer = await exchangeRaw(target, ambiguousRequest(path, header, body));
        expect([path, what, answer]).toEqual([
          path,
          what,
          expect.stringMatching(/^HTTP\/1\.1 400 /),
        ]);
        expect([path, what, answer.match(/^HTTP\//gm)?.length]).toEqual([path, what, 1]);
        expect([path, what, answer]).toEqual([
          path,
          what,
          expect.stringMatching(/connection: close/i),
        ]);
      }),
    );
    await Promise.all(answers);
  });

  it('reads no header of a megabyte, and no HTTP/2 — covers: T68', async () => {
    const { ports } = shared.pki;
    for (const target of [
      { port: ports.https, tls: true },
      { port: ports.http, tls: false },
    ]) {
      const header = `GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(1_000_000)}\r\n\r\n`;
      expect(await exchangeRaw(target, header)).toMatch(/^HTTP\/1\.1 431 [\s\S]*connection: close/);
      const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
      expect(await exchangeRaw(target, preface)).toMatch(
        /^HTTP\/1\.1 400 [\s\S]*connection: close/,
      );
    }
  });

  it('speaks HTTP/1.1 alone, and says so by ALPN', async () => {
    const spoken = (...ALPNProtocols: string[]) =>
      new Promise<unknown>((resolve) => {
        const port = shared.pki.ports.https;
        const socket = connect({
          host: 'localhost',
          port,
          ALPNProtocols,
          rejectUnauthorized: false,
        });
        socket.once('error', ({ message }) => resolve(message));
        socket.once('secureConnect', () => {
          resolve(socket.alpnProtocol);
          socket.destroy();
        });
      });
    expect(await spoken('h2', 'http/1.1')).toBe('http/1.1');
    expect(await spoken('h2')).toMatch(/no application protocol/);
  });

  it.each([
    ['streams that are taken back at once', rapidReset],
    ['a header that never ends', continuationFlood],
  ])(
    'a peer with a certificate that floods it over HTTP/2 is cut off: %s — covers: T68',
    async (_what, run) => {
      const { dataDir, ports } = shared.pki;
      const as = identitiesOf(dataDir);
      const address = `localhost:${ports.grpc}`;
      await flood(address, as(mode === 'split' ? 'notify' : 'gigvault'), run);
      const call = grpcCall(address, 'gigvault.ca.v1.IssuerService/ListIssuers', as('gigvault'));
      expect(await call).toMatchObject({ status: 0 });
    },
  );

  it('inflates nothing, wherever something can be uploaded — covers: T71', async () => {
    const { paths } = (await fetch('/openapi.json')).json<{ paths: Record<string, object> }>();
    const uploads = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods)
        .filter((method) => ['post', 'put', 'patch', 'delete'].includes(method))
        .map((method) => [method.toUpperCase(), API + path.replaceAll(/\{\w+\}/g, 'x')] as const),
    );
    expect(uploads.length).toBeGreaterThan(10);
    const directory = (await fetch('/acme/directory')).json<Record<string, unknown>>();
    const acme = Object.values(directory).filter((url) => String(url).startsWith('https:'));
    const urls = [
      ...uploads.map(([method, path]) => [method, shared.pki.publicUrl + path] as const),
      ...acme.map((url) => ['POST', String(url)] as const),
      ['POST', `${shared.pki.publicUrl}/acme/order/x/finalize`] as const,
      ['POST', `${shared.pki.statusUrl}/ocsp`] as const,
    ];
    for (const [method, url] of urls) {
      const headers = { authorization: `Bearer ${rest.token}`, 'content-encoding': 'gzip' };
      const question = { method, headers, body: BOMB.subarray(0, 5_000) };
      expect([url, (await shared.http.fetch(url, question)).status]).toEqual([url, 415]);
    }
    // Without a word about its coding it is what it is: no JSON, and too large.
    expect((await call('POST', '/csrs', BOMB.subarray(0, 5_000).toString('latin1'))).status).toBe(
      400,
    );
  });

  if (mode === 'one process')
    it(`${SLOW_CLIENTS} clients that never end their requests delay nobody, and are ended — covers: T71, T20`, async () => {
      const { ports, statusUrl, publicUrl } = shared.pki;
      const https = { port: ports.https, tls: true };
      const header = 'GET /acme/directory HTTP/1.1\r\nhost: x\r\nx: ';
      const body = 'POST /acme/new-order HTTP/1.1\r\nhost: x\r\ncontent-length: 99999\r\n\r\n';
      const { client, responder } = await startAcmeClient(shared);
      const withBodies = await openSlowClients(https, SLOW_TLS_CLIENTS, body, OPENING.tls);
      const groups: SlowClients[] = [];
      try {
        // At once: an order whose client says nothing is forgotten after ten seconds.
        expect(await client.certificate(['beside-slow-clients.localhost'])).toContain('BEGIN');
        groups.push(await openSlowClients(https, SLOW_TLS_CLIENTS, header, OPENING.tls));
        const http = { port: ports.http, tls: false };
        groups.push(await openSlowClients(http, SLOW_CLIENTS, header, OPENING.plain));
        const times: number[] = [];
        while (groups.every(({ ended }) => ended() === 0)) {
          for (const { drip } of [withBodies, ...groups]) drip(DRIPS);
          for (const url of [`${statusUrl}/ca/root.crt`, `${publicUrl}/acme/directory`]) {
            const start = performance.now();
            expect((await shared.http.fetch(url)).status).toBe(200);
            times.push(performance.now() - start);
          }
        }
        expect(times.length).toBeGreaterThan(20);
        times.sort((a, b) => a - b);
        expect(quantile(times, 0.99)).toBeLessThan(BESIDE_HOSTILE);
        await eventually(() => {
          for (const { ended, opened } of groups) expect(ended()).toBe(opened);
        }, SLOW_CLIENTS_END);
        for (const { longest } of groups) expect(longest()).toBeLessThan(SLOW_CLIENTS_END);
      } finally {
        for (const { close } of [withBodies, ...groups]) close();
        await responder.stop();
      }
    }, 90_000);
});

/** Files that this process may have open, connections included: Node has taken the soft limit to the hard one. Without a limit, Infinity. */
function openFiles(): number {
  const [, hard] =
    /^Max open files +\S+ +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  return Number(hard ?? Number.POSITIVE_INFINITY);
}
