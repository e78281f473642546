import { once } from 'node:events';
import { connect } from 'node:tls';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type {
  EvaluateRequest,
  EvaluateResponse,
  PolicyService,
} from '@gigvault/proto/policy/v1/policy';
import type { Answers, Calls } from '@gigvault/proto/rpc/v1/carrier';
import { silentLog } from '@gigvault/telemetry/log';
import { eventually } from '@gigvault/testkit/eventually';
import { createTestIdentities, TEST_TRUST_DOMAIN } from '@gigvault/testkit/test-identities';
import { Client as GrpcChannel, Metadata, Server, type ServerDuplexStream } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, type INestMicroservice, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { GrpcMethod } from '@nestjs/microservices';
import { throwError } from 'rxjs';
import type { CallContext, CallOptions, Client } from '../src/call.ts';
import { CARRIER, nextId } from '../src/carrier.ts';
import { methodsOf } from '../src/contract-descriptors.ts';
import { RPC } from '../src/contracts.ts';
import { createGrpcClients, type GrpcClients } from '../src/grpc-client.ts';
import { type GrpcServer, startGrpcServer } from '../src/grpc-server.ts';
import { type HandlerTable, HandlerTableServer } from '../src/handler-table.ts';
import { createInProcessBroker } from '../src/in-process-transport.ts';
import { MAX_MESSAGE } from '../src/message-size.ts';
import { channelCredentials, MtlsServerCredentials } from '../src/mtls-identity.ts';
import { readPeerTable } from '../src/peers.ts';
import type { PeerName } from '../src/service-name.ts';

const PEERS = 'policy: { gigvault.policy.v1.PolicyService/Evaluate: [ra] }';
const identities = createTestIdentities();
const strangers = createTestIdentities();
let aborted = 0;
let evaluated = 0;
/** Lets each of the calls of profile `slow` go on. */
const slowCalls: (() => void)[] = [];

/** Does what the request's profile says, so that one RPC shows every outcome. */
@Controller()
class Echo {
  @GrpcMethod('PolicyService', 'Evaluate')
  async evaluate(
    request: EvaluateRequest,
    _metadata: unknown,
    call: CallContext,
  ): Promise<EvaluateResponse> {
    evaluated++;
    if (request.profile === 'refuse')
      throw new GigvaultError('BAD_CSR', 'not this one', {
        problems: [{ pointer: '/x', message: 'y' }],
      });
    if (request.profile === 'break') throw new Error('the password is hunter2');
    if (request.profile === 'wait') {
      // Who hangs up at once has done so before this is reached.
      if (!call.signal.aborted) await once(call.signal, 'abort');
      aborted++;
    }
    if (request.profile === 'slow')
      await new Promise<void>((resolve) => {
        slowCalls.push(resolve);
      });
    return {
      decision: { outcome: 'allow', rules: [], policy: call.peer, policyHash: request.requester },
      approvalsNeeded: request.subjectAltName.length,
    };
  }
}

class Root {}
Module({ controllers: [Echo] })(Root);

let app: INestMicroservice;
let table: HandlerTable;
let server: GrpcServer;
/** Calls that were told of. */
const refused: string[] = [];
const open: GrpcClients[] = [];
const broker = createInProcessBroker({ encode: true });

beforeAll(async () => {
  const transport = new HandlerTableServer(
    'policy',
    [RPC.policy],
    readPeerTable(PEERS),
    silentLog,
    undefined,
    async ({ peer, rpc }) => void refused.push(`${peer} ${rpc}`),
  );
  app = await NestFactory.createMicroservice(Root, {
    strategy: transport,
    logger: false,
    abortOnError: false,
  });
  app.useGlobalFilters({ catch: (error: unknown) => throwError(() => error) });
  await app.listen();
  broker.register(transport.table);
  table = transport.table;
  server = await startServer();
});

function startServer(port = 0): Promise<GrpcServer> {
  const identity = identities.identity('policy');
  return startGrpcServer({ host: '127.0.0.1', port, identity, tables: [table] });
}

afterAll(async () => {
  for (const clients of open) clients.close();
  await server.stop(1_000);
  for (const goOn of slowCalls) goOn();
  await app.close();
});

function overTheWire(peer: PeerName, from = identities, port = server.port): Client<PolicyService> {
  const clients = createGrpcClients(from.identity(peer), { policy: `127.0.0.1:${port}` });
  open.push(clients);
  return clients.client(RPC.policy, 'policy');
}

function request(profile: string): EvaluateRequest {
  return {
    protocol: 'acme',
    requester: 'acme:1',
    roles: [],
    profile,
    commonName: '',
    subjectAltName: [{ type: 'dns', value: 'a.example' }],
    keyType: '',
    validity: 0,
    tenantId: '',
    keyUsages: [],
  };
}

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
    const before = aborted;
    const ra = client('ra');
    // Connected first: a deadline that passes during the handshake never reaches the handler.
    await ra.evaluate(request('ok'));
    const options: CallOptions = { deadline: 200 };
    await expect(ra.evaluate(request('wait'), options)).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    await eventually(() => expect(aborted).toBe(before + 1));
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
    const clients = createGrpcClients(identities.identity('ra'), {
      ca: `127.0.0.1:${server.port}`,
    });
    open.push(clients);
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
    open.push(clients);
    const client = clients.client(RPC.policy, 'policy');
    const before = client.evaluate(request('ok'));
    identity.replace(identities.identity('ra').current());
    await expect(Promise.all([before, client.evaluate(request('ok'))])).resolves.toHaveLength(2);
  });
});

/** A server that is not ours, and does what it likes. */
async function foreignServer(definition: object, handlers: object) {
  const plain = new Server();
  plain.addService(definition as never, handlers as never);
  const port = await new Promise<number>((resolve, reject) =>
    plain.bindAsync(
      '127.0.0.1:0',
      new MtlsServerCredentials(identities.identity('policy')),
      (error, bound) => (error ? reject(error) : resolve(bound)),
    ),
  );
  return { plain, port };
}

const carrying = (carry: (stream: ServerDuplexStream<Calls, Answers>) => void) =>
  foreignServer(methodsOf({ fullName: CARRIER }), { Carry: carry });

describe('calls over one stream', () => {
  it('are answered each by its own answer, however many there are', async () => {
    const ra = overTheWire('ra');
    const requesters = Array.from({ length: 500 }, (_, i) => `acme:${i}`);
    const answers = await Promise.all(
      requesters.map((requester) => ra.evaluate({ ...request('ok'), requester })),
    );
    expect(answers.map(({ decision }) => decision?.policyHash)).toEqual(requesters);
  });

  it('do not wait for one another', async () => {
    const ra = overTheWire('ra');
    const hangUp = new AbortController();
    const slow = ra.evaluate(request('wait'), { signal: hangUp.signal });
    expect((await ra.evaluate(request('ok'))).approvalsNeeded).toBe(1);
    hangUp.abort();
    await expect(slow).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('in flight are answered while the server stops, and new ones are refused', async () => {
    const stopping = await startServer();
    const ra = overTheWire('ra', identities, stopping.port);
    await ra.evaluate(request('ok'));
    const before = slowCalls.length;
    const inFlight = ra.evaluate(request('slow'));
    await eventually(() => expect(slowCalls.length).toBe(before + 1));
    const stopped = stopping.stop(10_000);
    await eventually(() =>
      expect(ra.evaluate(request('ok'))).rejects.toMatchObject({ code: 'UNAVAILABLE' }),
    );
    slowCalls[before]?.();
    expect((await inFlight).approvalsNeeded).toBe(1);
    await stopped;
  });

  it('that were under way when the connection broke are unavailable; the next ones connect again', async () => {
    const first = await startServer();
    const ra = overTheWire('ra', identities, first.port);
    const before = slowCalls.length;
    const lost = ra.evaluate(request('slow'));
    await eventually(() => expect(slowCalls.length).toBe(before + 1));
    const stopped = first.stop(0);
    await expect(lost).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await stopped;
    slowCalls[before]?.();
    const second = await startServer(first.port);
    await eventually(async () => {
      expect((await ra.evaluate(request('ok'))).approvalsNeeded).toBe(1);
    });
    await second.stop(1_000);
  });

  it.each(['no JSON', 'null', '[]', '{"code":7,"message":"x"}', '{"code":"BAD_CSR"}'])(
    'answered with an error that is %s fail, and nothing else does',
    async (error) => {
      const { plain, port } = await carrying((stream) =>
        stream.on('data', ({ calls }: Calls) => {
          const answers = calls.map(({ id }) => ({ id, response: Buffer.alloc(0), error }));
          stream.write({ answers, draining: false });
        }),
      );
      const ra = overTheWire('ra', identities, port);
      for (let i = 0; i < 2; i++)
        await expect(ra.evaluate(request('ok'))).rejects.toMatchObject({ code: 'INTERNAL' });
      plain.forceShutdown();
    },
  );

  it('do not pile up for a callee that does not read: they are refused, and go on once it does', async () => {
    let wake: (() => void) | undefined;
    const { plain, port } = await carrying((stream) => {
      wake = () =>
        stream.on('data', ({ calls }: Calls) => {
          const answers = calls.map(({ id }) => ({ id, response: Buffer.alloc(0), error: '' }));
          stream.write({ answers, draining: false });
        });
    });
    const ra = overTheWire('ra', identities, port);
    ra.evaluate(request('ok')).catch(() => undefined);
    await eventually(() => expect(wake).toBeDefined());
    const large = { ...request('ok'), requester: 'x'.repeat(200_000) };
    const codes = new Map<string, number>();
    const calls = Array.from({ length: 200 }, () =>
      ra.evaluate(large, { deadline: 60_000 }).then(
        () => 'answered',
        (error: GigvaultError) => error.code,
      ),
    );
    for (const call of calls) void call.then((code) => codes.set(code, (codes.get(code) ?? 0) + 1));
    await eventually(() => expect(codes.get('UNAVAILABLE')).toBeGreaterThan(50));
    expect([...codes.keys()]).toEqual(['UNAVAILABLE']);
    wake?.();
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['UNAVAILABLE', 'answered']));
    expect((await ra.evaluate(request('ok'))).approvalsNeeded).toBe(0);
    plain.forceShutdown();
  });

  it('are not taken from a caller that does not read its answers, until it does', async () => {
    const channel = new GrpcChannel(
      `127.0.0.1:${server.port}`,
      channelCredentials(identities.identity('ra'), 'policy'),
      { 'grpc.ssl_target_name_override': `policy.${TEST_TRUST_DOMAIN}` },
    );
    const { Carry } = methodsOf({ fullName: CARRIER });
    const stream = channel.makeBidiStreamRequest(
      Carry!.path,
      Carry!.requestSerialize as (calls: Calls) => Buffer,
      Carry!.responseDeserialize as (octets: Buffer) => Answers,
      new Metadata(),
    );
    stream.on('error', () => undefined);
    // Reads ahead as far as it does by itself, and no further.
    stream.read(0);
    const before = evaluated;
    const { path, requestSerialize } = methodsOf(RPC.policy)['Evaluate']!;
    const large = requestSerialize({ ...request('ok'), requester: 'x'.repeat(200_000) });
    const call = { rpc: path.slice(1), request: large, requestId: '', traceparent: '' };
    const COUNT = 400;
    for (let id = 1; id <= COUNT; id++) stream.write({ calls: [{ ...call, id }] });
    // Some 16 MiB of answers and what is on its way, of 80.
    let seen = -1;
    await eventually(
      () => {
        const known = seen;
        seen = evaluated;
        expect(seen - before).toBeGreaterThan(50);
        expect(seen).toBe(known);
      },
      undefined,
      500,
    );
    expect(seen - before).toBeLessThan(COUNT - 100);
    let answered = 0;
    stream.on('data', ({ answers }: Answers) => {
      answered += answers.filter(({ error }) => error === '').length;
    });
    await eventually(() => expect(answered).toBe(COUNT), 20_000);
    stream.end();
    channel.close();
  });

  it('have ids of their own for as long as a stream lives', () => {
    expect(nextId(0, new Set())).toBe(1);
    expect(nextId(7, new Set([8, 9]))).toBe(10);
    expect(nextId(2 ** 32 - 2, new Set())).toBe(2 ** 32 - 1);
    expect(nextId(2 ** 32 - 1, new Set([1, 2]))).toBe(3);
  });

  it('are made one by one to a server that carries none', async () => {
    const { Evaluate } = methodsOf(RPC.policy);
    const { plain, port } = await foreignServer(
      { Evaluate },
      {
        Evaluate: (call: { request: EvaluateRequest }, done: (e: null, answer: object) => void) =>
          done(null, { approvalsNeeded: call.request.subjectAltName.length }),
      },
    );
    const ra = overTheWire('ra', identities, port);
    const answers = await Promise.all([ra.evaluate(request('ok')), ra.evaluate(request('ok'))]);
    expect(answers.map(({ approvalsNeeded }) => approvalsNeeded)).toEqual([1, 1]);
    expect((await ra.evaluate(request('ok'))).approvalsNeeded).toBe(1);
    plain.forceShutdown();
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
