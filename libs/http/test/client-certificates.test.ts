import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { createAuthenticator } from '@gigvault/access/authenticator';
import type { RefusedCertificate } from '@gigvault/access/known-certificates';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { serverTls } from '@gigvault/rpc/mtls-identity';
import { clientAuthority } from '@gigvault/testkit/client-authority';
import { FakeClock } from '@gigvault/time/clock';
import { afterAll, describe, expect, it } from '@jest/globals';
import { NO_DOOR } from '../src/admit.ts';
import {
  CLIENT_HEADER,
  type ClientCertificates,
  clientCertificatesOf,
  encodeClient,
} from '../src/client-certificates.ts';
import { call, identities, ROUTES, start, stopAll } from './test-server.ts';

const DAY = 86_400_000;
const people = clientAuthority();
const strangers = clientAuthority();
const ada = people.issue({ names: [{ type: 'email', value: 'ada' }] });
const grace = people.issue({ commonName: 'grace' });
const { servicesCa } = identities.identity('gigvault').current();

const KEY = (name: string) => `Bearer gv_key_${name}`;
/** Of the certificates that were not accepted. */
let reported: RefusedCertificate[] = [];

/** Users are ada and grace; API keys are their names. */
function authenticator(clock: FakeClock) {
  const identity = (name: string) => {
    if (name !== 'ada' && name !== 'grace')
      throw new GigvaultError('UNAUTHENTICATED', 'Nobody is called so.');
    return { userId: name, name, roles: ['admin'], tenantId: 'default' };
  };
  return createAuthenticator({
    clock,
    jwks: async () => ({ jwks: '{"keys":[]}', issuer: '', audience: '', revokedKeyIds: [] }),
    identify: async (apiKey) => {
      const name = apiKey.slice('gv_key_'.length);
      return { identity: identity(name), keyId: name, expiresAt: 0 };
    },
    certificates: {
      identifyCertificate: async ({ name }) => ({ identity: identity(name) }),
      reportCertificate: async (refused) => reported.push(refused),
    },
  });
}

async function listener(mode?: ClientCertificates['mode'], behindProxy = false) {
  reported = [];
  const clock = new FakeClock(Date.now());
  const door = { ...NO_DOOR, authenticator: authenticator(clock) };
  const routes = ROUTES.map((mounted) => ({ ...mounted, door }));
  const certificatesOfClients = mode && { mode, authorities: people.certificate };
  const server = await start({
    routes,
    clock,
    certificatesOfClients,
    ...(behindProxy
      ? {
          behindProxy,
          onlyPeer: 'URI:spiffe://gigvault.test/service/edge',
          tls: {
            ...serverTls(identities.identity('ca')),
            requestCert: true,
            rejectUnauthorized: true,
          },
        }
      : {}),
  });
  const ask = async (
    client?: { cert: string; key: string },
    headers: Record<string, string> = {},
    path = '/api/v1/users/7',
  ) => {
    const answer = await call(server, path, { headers, ...(client && { client }) });
    return { status: answer.status, text: answer.text };
  };
  return { server, clock, ask };
}

const WRONG = {
  expired: people.issue({ commonName: 'ada', notAfter: Date.now() - DAY }),
  'of another CA': strangers.issue({ commonName: 'ada' }),
  'for servers': people.issue({ commonName: 'ada', extendedKeyUsage: ['serverAuth'] }),
  'of a service': people.issue({
    names: [
      { type: 'email', value: 'ada' },
      { type: 'uri', value: 'spiffe://gigvault.test/service/ca' },
    ],
  }),
  'with a CN beside other names': people.issue({
    commonName: 'ada',
    names: [{ type: 'dns', value: 'ada.example' }],
  }),
  'with two names': people.issue({
    names: [
      { type: 'email', value: 'ada' },
      { type: 'email', value: 'grace' },
    ],
  }),
  'of a machine': people.issue({ commonName: 'operator@local' }),
  'of nobody': people.issue({ commonName: 'mallory' }),
};

afterAll(stopAll);

describe('client certificates, optional', () => {
  it('alone say who asks, by rfc822Name or by CN; a token says it otherwise', async () => {
    const { ask, server } = await listener('optional');
    expect(await ask(ada)).toMatchObject({ status: 200 });
    expect(await ask(grace)).toMatchObject({ status: 200 });
    expect(await ask()).toMatchObject({ status: 401 });
    expect(await ask(undefined, { authorization: KEY('ada') })).toMatchObject({ status: 200 });
    const created = await call(server, '/api/v1/users', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"name":"x"}',
      client: grace,
    });
    expect(created.json()).toMatchObject({ actor: 'user:grace' });
    expect(reported).toEqual([]);
  });

  it.each(Object.entries(WRONG))('covers: T63. %s is refused, and told', async (kind, client) => {
    const { ask } = await listener('optional');
    const tokens: Record<string, string>[] = [{}, { authorization: KEY('ada') }];
    for (const headers of tokens)
      expect(await ask(client, headers)).toMatchObject({
        status: 401,
        text: expect.stringContaining('UNAUTHENTICATED'),
      });
    expect(reported).toHaveLength(kind === 'of nobody' ? 0 : 2);
  });

  it('end with the connection that outlives them', async () => {
    const { ask, clock } = await listener('optional');
    expect(await ask(ada)).toMatchObject({ status: 200 });
    clock.advance(2 * DAY);
    expect(await ask(ada)).toMatchObject({ status: 401, text: expect.stringContaining('expired') });
  });
});

describe('covers: P7. client certificates, required and matching', () => {
  it('let in who has a token and a certificate of the same user, and nobody else', async () => {
    const { ask } = await listener('required-and-matching');
    const token = { authorization: KEY('ada') };
    expect(await ask(ada, token)).toMatchObject({ status: 200 });
    expect(await ask(grace, token)).toMatchObject({
      status: 403,
      text: expect.stringContaining('of another user than the token'),
    });
    expect(await ask(undefined, token)).toMatchObject({
      status: 401,
      text: expect.stringContaining('Show a client certificate'),
    });
    const { serialNumber, fingerprint256 } = new X509Certificate(grace.cert);
    const sha256 = fingerprint256.replaceAll(':', '').toLowerCase();
    const certificate = {
      actor: 'user:grace',
      serialNumber: serialNumber.toLowerCase(),
      sha256,
    };
    expect(reported).toEqual([
      { clientIp: '127.0.0.1', actor: 'user:ada', certificate },
      { clientIp: '127.0.0.1', actor: 'user:ada' },
    ]);
    expect(await ask(ada)).toMatchObject({ status: 401 });
    for (const client of Object.values(WRONG))
      expect(await ask(client, token)).toMatchObject({ status: 401 });
    expect(reported).toHaveLength(2 + Object.keys(WRONG).length - 1);
  });

  it('do not keep others from what is not the management API', async () => {
    const { ask } = await listener('required-and-matching');
    for (const client of [undefined, ...Object.values(WRONG)])
      expect(await ask(client, {}, '/acme/directory')).toMatchObject({ status: 200 });
  });

  it('are not replaced by a TLS session that began without one', async () => {
    const { server, ask } = await listener('required-and-matching');
    const request = `GET /api/v1/users/7 HTTP/1.1\r\nhost: x\r\nauthorization: ${KEY('ada')}\r\nconnection: close\r\n\r\n`;
    const exchange = (options: object) =>
      new Promise<{ text: string; session: Buffer | undefined; isReused: boolean }>((resolve) => {
        let text = '';
        let session: Buffer | undefined;
        let isReused = false;
        const socket: TLSSocket = connect(
          { port: server.port, host: '127.0.0.1', rejectUnauthorized: false, ...options },
          () => {
            isReused = socket.isSessionReused();
            socket.write(request);
          },
        );
        socket.on('session', (ticket) => {
          session = ticket;
        });
        socket.on('data', (part) => {
          text += part.toString();
        });
        socket.on('close', () => resolve({ text, session, isReused }));
      });
    const without = await exchange({});
    expect(without.text).toContain(' 401 ');
    const again = await exchange({ session: without.session });
    expect(again).toMatchObject({ isReused: true, text: expect.stringContaining(' 401 ') });
    const known = await exchange(ada);
    expect(known.text).toContain(' 200 ');
    const resumed = await exchange({ session: known.session });
    expect(resumed).toMatchObject({ isReused: true, text: expect.stringContaining(' 200 ') });
    expect(await ask()).toMatchObject({ status: 401 });
  });
});

describe('covers: T63. the header of the edge', () => {
  const forged = (name: string) => ({
    [CLIENT_HEADER]: encodeClient({
      isRequired: false,
      certificate: { name, serialNumber: '01', sha256: name },
    }),
  });

  it.each([undefined, 'optional', 'required-and-matching'] as const)(
    'means nothing where clients connect, with certificates %s',
    async (mode) => {
      const { ask } = await listener(mode);
      expect(await ask(undefined, forged('ada'))).toMatchObject({ status: 401 });
    },
  );

  it('is believed behind the edge, and required there as the edge says', async () => {
    const { ask } = await listener(undefined, true);
    const edge = identities.identity('edge').current();
    const client = { cert: edge.certificate, key: edge.privateKey };
    const from = (headers: Record<string, string>) =>
      ask(client, { 'x-gigvault-listener': 'public', ...headers });
    expect(await from(forged('ada'))).toMatchObject({ status: 200 });
    expect(await from({})).toMatchObject({ status: 401 });
    const bare = { [CLIENT_HEADER]: encodeClient({ isRequired: true }) };
    expect(await from({ ...bare, authorization: KEY('ada') })).toMatchObject({ status: 401 });
    expect(await from({ [CLIENT_HEADER]: 'nonsense' })).toMatchObject({ status: 400 });
    const peer = identities.identity('ca').current();
    const other = { cert: peer.certificate, key: peer.privateKey };
    await expect(
      ask(other, { 'x-gigvault-listener': 'public', ...forged('ada') }),
    ).rejects.toThrow();
  });
});

describe('https.clientAuthorities', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gigvault-authorities-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'people.pem');
  const read = (content: string) => {
    writeFileSync(file, content);
    const config = { clientCertificates: 'optional', clientAuthorities: file } as const;
    return clientCertificatesOf(config, servicesCa);
  };

  it('is read, unless it is nothing or has the CA of the services', () => {
    expect(read(people.certificate)).toMatchObject({ mode: 'optional' });
    expect(new X509Certificate(people.certificate).ca).toBe(true);
    for (const content of ['', 'nonsense', people.certificate + servicesCa])
      expect(() => read(content)).toThrow('https.clientAuthorities');
    rmSync(file);
    const gone = { clientCertificates: 'optional', clientAuthorities: file } as const;
    expect(() => clientCertificatesOf(gone, servicesCa)).toThrow('cannot be read');
    expect(clientCertificatesOf({ ...gone, clientCertificates: 'off' }, '')).toBeUndefined();
  });
});
