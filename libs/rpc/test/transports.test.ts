import { connect } from 'node:tls';
import { silentLog } from '@gigvault/telemetry/log';
import { eventually } from '@gigvault/testkit/eventually';
import { createTestIdentities, TEST_TRUST_DOMAIN } from '@gigvault/testkit/test-identities';
import { describe, expect, it } from '@jest/globals';
import { NestFactory } from '@nestjs/core';
import type { CallOptions } from '../src/call.ts';
import { RPC } from '../src/contracts.ts';
import { createGrpcClients } from '../src/grpc-client.ts';
import { HandlerTableServer } from '../src/handler-table.ts';
import { MAX_MESSAGE } from '../src/message-size.ts';
import { readPeerTable } from '../src/peers.ts';
import type { PeerName } from '../src/service-name.ts';
import {
  broker,
  clientsOf,
  identities,
  overTheWire,
  Root,
  refused,
  request,
  seen,
  useEcho,
} from './echo-service.ts';

const server = useEcho();
const strangers = createTestIdentities();

describe.each([
  ['in-process', (peer: PeerName) => broker.client(peer, RPC.policy, 'policy')],
  ['over mTLS gRPC', (peer: PeerName) => overTheWire(peer)],
] as const)('a call %s', (_name, client) => {
  it('carries the message, and the caller as the transport knows it', async () => {
    const answer = await client('ra').evaluate(request('ok'));
    expect(answer).toEqual({
      decision: { outcome: 'allow', rules: [], policy: 'ra', policyHash: 'acme:1' },
      approvalsNeeded: 1,
    });
  });

  it('is refused to a peer that peers.yaml does not list, once that is told (covers: T61)', async () => {
    refused.length = 0;
    await expect(client('enroll').evaluate(request('ok'))).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
    expect(refused).toEqual(['enroll gigvault.policy.v1.PolicyService/Evaluate']);
  });

  it('brings errors back with code, text and problems', async () => {
    await expect(client('ra').evaluate(request('refuse'))).rejects.toMatchObject({
      code: 'BAD_CSR',
      message: 'not this one',
      problems: [{ pointer: '/x', message: 'y' }],
    });
  });

  it('tells nothing of an error that is not ours', async () => {
    const error = await client('ra')
      .evaluate(request('break'))
      .catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'INTERNAL' });
    expect(String((error as Error).message)).not.toContain('hunter2');
  });

  it('ends at its deadline, and the handler learns of it', async () => {
    const before = seen.aborted;
    const ra = client('ra');
    // Connected first: a deadline that passes during the handshake never reaches the handler.
    await ra.evaluate(request('ok'));
    const options: CallOptions = { deadline: 200 };
    await expect(ra.evaluate(request('wait'), options)).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    await eventually(() => expect(seen.aborted).toBe(before + 1));
  });

  it('is given up when its caller aborts', async () => {
    const hangUp = new AbortController();
    const call = client('ra').evaluate(request('wait'), { signal: hangUp.signal });
    hangUp.abort();
    await expect(call).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

describe('the wire', () => {
  it('refuses a peer whose certificate another CA signed (covers: T61, T62)', async () => {
    await expect(
      overTheWire('ra', strangers).evaluate(request('ok'), { deadline: 2_000 }),
    ).rejects.toMatchObject({
      code: expect.stringMatching(/^(UNAVAILABLE|DEADLINE_EXCEEDED)$/),
    });
  });

  it('does not talk to a server that is somebody else', async () => {
    const clients = clientsOf('ra', { ca: `127.0.0.1:${server.port}` });
    await expect(
      clients.client(RPC.issuer, 'ca').listIssuers({}, { deadline: 2_000 }),
    ).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('speaks TLS 1.3 only (covers: X1, T62)', async () => {
    const { servicesCa, certificate, privateKey } = identities.identity('ra').current();
    const outcome = await new Promise<string>((resolve) => {
      const socket = connect({
        port: server.port,
        host: '127.0.0.1',
        ca: servicesCa,
        cert: certificate,
        key: privateKey,
        maxVersion: 'TLSv1.2',
        rejectUnauthorized: false,
        ALPNProtocols: ['h2'],
      });
      socket
        .once('secureConnect', () => resolve(`connected with ${socket.getProtocol()}`))
        .once('error', () => resolve('refused'));
    });
    expect(outcome).toBe('refused');
  });

  it('carries a list of 20 MiB, and says so of what is larger than any', async () => {
    const client = overTheWire('ra');
    const ask = (octets: number) =>
      client.evaluate({ ...request('ok'), requester: 'x'.repeat(octets) }, { deadline: 60_000 });
    expect((await ask(20 * 2 ** 20)).decision?.policyHash).toHaveLength(20 * 2 ** 20);
    await expect(ask(MAX_MESSAGE)).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
  });

  it('goes on when the client gets a new identity', async () => {
    const identity = identities.identity('ra');
    const clients = createGrpcClients(identity, { policy: `127.0.0.1:${server.port}` });
    const client = clients.client(RPC.policy, 'policy');
    const before = client.evaluate(request('ok'));
    identity.replace(identities.identity('ra').current());
    await expect(Promise.all([before, client.evaluate(request('ok'))])).resolves.toHaveLength(2);
    clients.close();
  });
});

describe('the start', () => {
  const start = async (peers: string) => {
    const transport = new HandlerTableServer(
      'policy',
      [RPC.policy],
      readPeerTable(peers),
      silentLog,
    );
    const broken = await NestFactory.createMicroservice(Root, {
      strategy: transport,
      logger: false,
      abortOnError: false,
    });
    await broken.listen();
  };

  it('stops when peers.yaml names an RPC that nothing serves', async () => {
    await expect(
      start(
        `policy: { gigvault.policy.v1.PolicyService/Evaluate: [ra], gigvault.policy.v1.PolicyService/Guess: [ra] }`,
      ),
    ).rejects.toThrow('does not serve: gigvault.policy.v1.PolicyService/Guess');
  });

  it('stops when an RPC is missing in peers.yaml', async () => {
    await expect(start('policy: {}')).rejects.toThrow(
      'does not say who may call policy: gigvault.policy.v1.PolicyService/Evaluate',
    );
  });

  it('stops when peers.yaml names somebody who is no peer', () => {
    expect(() => readPeerTable('policy: { a.B/C: [raa] }')).toThrow('"raa"');
  });
});

it('test identities live in a trust domain of their own', () => {
  expect(TEST_TRUST_DOMAIN).not.toBe('gigvault.local');
});
