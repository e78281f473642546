import type { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { EvaluateRequest } from '@gigvault/proto/policy/v1/policy';
import type { Answers, Calls } from '@gigvault/proto/rpc/v1/carrier';
import { eventually } from '@gigvault/testkit/eventually';
import { TEST_TRUST_DOMAIN } from '@gigvault/testkit/test-identities';
import { Client as GrpcChannel, Metadata, Server, type ServerDuplexStream } from '@grpc/grpc-js';
import { describe, expect, it } from '@jest/globals';
import { CARRIER, nextId } from '../src/carrier.ts';
import { methodsOf } from '../src/contract-descriptors.ts';
import { RPC } from '../src/contracts.ts';
import { channelCredentials, MtlsServerCredentials } from '../src/mtls-identity.ts';
import {
  identities,
  overTheWire,
  request,
  seen,
  slowCalls,
  startServer,
  useEcho,
} from './echo-service.ts';

const server = useEcho();

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
    const before = seen.evaluated;
    const { path, requestSerialize } = methodsOf(RPC.policy)['Evaluate']!;
    const large = requestSerialize({ ...request('ok'), requester: 'x'.repeat(200_000) });
    const call = { rpc: path.slice(1), request: large, requestId: '', traceparent: '' };
    const COUNT = 400;
    for (let id = 1; id <= COUNT; id++) stream.write({ calls: [{ ...call, id }] });
    // Some 16 MiB of answers and what is on its way, of 80.
    let last = -1;
    await eventually(
      () => {
        const known = last;
        last = seen.evaluated;
        expect(last - before).toBeGreaterThan(50);
        expect(last).toBe(known);
      },
      undefined,
      500,
    );
    expect(last - before).toBeLessThan(COUNT - 100);
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
