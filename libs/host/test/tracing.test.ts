import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { NO_DOOR } from '@gigvault/http/admit';
import { type HttpServer, startHttpServer } from '@gigvault/http/http-server';
import { problemReply } from '@gigvault/http/problem';
import type { PolicyService } from '@gigvault/proto/policy/v1/policy';
import type { Client } from '@gigvault/rpc/call';
import { RPC } from '@gigvault/rpc/contracts';
import { createGrpcClients, type GrpcClients } from '@gigvault/rpc/grpc-client';
import { type GrpcServer, startGrpcServer } from '@gigvault/rpc/grpc-server';
import { HandlerTableServer } from '@gigvault/rpc/handler-table';
import { createInProcessBroker } from '@gigvault/rpc/in-process-transport';
import { readPeerTable } from '@gigvault/rpc/peers';
import { currentTraceId } from '@gigvault/telemetry/correlation';
import { durableStep } from '@gigvault/telemetry/durable-step';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics, expositionType } from '@gigvault/telemetry/metrics';
import { startTracing, type Tracing } from '@gigvault/telemetry/tracing';
import { createTestIdentities } from '@gigvault/testkit/test-identities';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, type INestMicroservice, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { GrpcMethod } from '@nestjs/microservices';
import { throwError } from 'rxjs';

interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly status: { readonly code?: number; readonly message?: string };
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
}

const EVALUATE = 'gigvault.policy.v1.PolicyService/Evaluate';
const identities = createTestIdentities();
const metrics = createMetrics();
const spans: Span[] = [];
const resources: unknown[] = [];
const seen: string[] = [];
let collector: Server;
let tracing: Tracing;
let app: INestMicroservice;
let grpc: GrpcServer;
let clients: GrpcClients;
let http: HttpServer;
const transports: Record<string, Client<PolicyService>> = {};

@Controller()
class Policy {
  @GrpcMethod('PolicyService', 'Evaluate')
  evaluate({ profile }: { profile: string }) {
    return durableStep('policy.decision', async () => {
      seen.push(currentTraceId());
      if (profile === 'break') throw new Error('the password is hunter2');
      return { decision: undefined, approvalsNeeded: 0 };
    });
  }
}

class Root {}
Module({ controllers: [Policy] })(Root);

beforeAll(async () => {
  collector = createServer((incoming, answer) => {
    const parts: Buffer[] = [];
    incoming.on('data', (part: Buffer) => parts.push(part));
    incoming.on('end', () => {
      expect(incoming.url).toBe('/v1/traces');
      const { resourceSpans } = JSON.parse(Buffer.concat(parts).toString());
      for (const { resource, scopeSpans } of resourceSpans) {
        resources.push(resource);
        for (const scope of scopeSpans) spans.push(...scope.spans);
      }
      answer.setHeader('content-type', 'application/json').end('{}');
    });
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  tracing = await startTracing({
    service: 'gigvault',
    version: '1.2.3',
    endpoint: `http://127.0.0.1:${(collector.address() as AddressInfo).port}/`,
    log: silentLog,
  });
  await startServices();
  http = await startHttpServer({
    listeners: ['public'],
    host: '127.0.0.1',
    port: 0,
    baseUrl: 'http://localhost',
    behindProxy: false,
    routes: [
      {
        service: 'enroll',
        door: NO_DOOR,
        route: {
          kind: 'protocol',
          listener: 'public',
          method: 'POST',
          path: '/acme/:transport/:profile',
          bodyLimit: 100,
          errorReply: (error, { traceId }) => problemReply(error, '/acme', traceId),
          handle: ({ params }) =>
            durableStep('enroll.order', async () => {
              const client = transports[params['transport'] as string] as Client<PolicyService>;
              await client.evaluate({ profile: params['profile'] } as never);
              return { status: 204 };
            }),
        },
      },
    ],
    log: silentLog,
    metrics,
  });
});

async function startServices(): Promise<void> {
  const peers = readPeerTable(`policy: { ${EVALUATE}: [enroll] }`);
  const transport = new HandlerTableServer('policy', [RPC.policy], peers, silentLog, metrics);
  app = await NestFactory.createMicroservice(Root, {
    strategy: transport,
    logger: false,
    abortOnError: false,
  });
  app.useGlobalFilters({ catch: (error: unknown) => throwError(() => error) });
  await app.listen();
  grpc = await startGrpcServer({
    host: '127.0.0.1',
    port: 0,
    identity: identities.identity('policy'),
    tables: [transport.table],
  });
  const broker = createInProcessBroker({ encode: true });
  broker.register(transport.table);
  clients = createGrpcClients(identities.identity('enroll'), { policy: `127.0.0.1:${grpc.port}` });
  transports['in-process'] = broker.client('enroll', RPC.policy, 'policy');
  transports['grpc'] = clients.client(RPC.policy, 'policy');
  transports['stranger'] = broker.client('notify', RPC.policy, 'policy');
}

afterAll(async () => {
  await http.stop(100);
  clients.close();
  await grpc.stop(100);
  await app.close();
  await new Promise((resolve) => collector.close(resolve));
});

function post(path: string, traceparent: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const { port } = http;
    const headers = { traceparent };
    const options = { host: '127.0.0.1', port, path, method: 'POST', agent: false, headers };
    const outgoing = request(options, (response) => {
      let body = '';
      response.on('data', (part) => {
        body += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    outgoing.on('error', reject).end('x');
  });
}

const traceOf = (n: number) => `${n}`.repeat(32);
const CLIENT_SPAN = '00f067aa0ba902b7';

describe('one request (covers: G83)', () => {
  it('is one trace from the edge to the last service, over either transport', async () => {
    for (const [n, transport] of [
      [1, 'in-process'],
      [2, 'grpc'],
    ] as const) {
      const answer = await post(`/acme/${transport}/ok`, `00-${traceOf(n)}-${CLIENT_SPAN}-01`);
      expect(answer).toEqual({ status: 204, body: '' });
    }
    const broken = await post('/acme/grpc/break', `00-${traceOf(3)}-${CLIENT_SPAN}-01`);
    expect(JSON.parse(broken.body)).toMatchObject({ traceId: traceOf(3) });
    await post('/acme/stranger/ok', `00-${traceOf(4)}-${CLIENT_SPAN}-01`);
    expect(seen).toEqual([1, 2, 3].map(traceOf));
    await tracing.stop();

    for (const traceId of [traceOf(1), traceOf(2)]) {
      const trace = spans.filter((span) => span.traceId === traceId);
      const chain = ['POST /acme/:transport/:profile', 'enroll.order', EVALUATE, 'policy.decision'];
      expect(trace.map((span) => span.name).sort()).toEqual([...chain].sort());
      const inOrder = chain.map((name) => trace.find((span) => span.name === name) as Span);
      expect(inOrder.map((span) => span.parentSpanId)).toEqual([
        CLIENT_SPAN,
        ...inOrder.slice(0, 3).map((span) => span.spanId),
      ]);
    }
  });

  it('tells where it failed, without the text of the error (covers: T66)', () => {
    const failed = spans.filter((span) => span.traceId === traceOf(3) && span.status.code === 2);
    const why = Object.fromEntries(failed.map((span) => [span.name, span.status.message]));
    expect(why).toEqual({
      'POST /acme/:transport/:profile': '500',
      'enroll.order': 'INTERNAL',
      [EVALUATE]: 'INTERNAL',
      'policy.decision': 'Error',
    });
    expect(JSON.stringify(spans)).not.toContain('hunter2');
    const [rpc] = spans.filter((span) => span.traceId === traceOf(4) && span.name === EVALUATE);
    expect(rpc?.status.message).toBe('FORBIDDEN');
  });

  it('names the program', () => {
    expect(JSON.stringify(resources[0])).toContain(
      '"service.name","value":{"stringValue":"gigvault"}',
    );
  });
});

it('RPCs are counted by method and status, over either transport (covers: K211)', async () => {
  const text = await metrics.exposition();
  const count = (status: string) =>
    new RegExp(
      `gigvault_grpc_requests_total\\{method="${EVALUATE}",status="${status}"\\} (\\d+)`,
    ).exec(text)?.[1];
  expect(['OK', 'INTERNAL', 'PERMISSION_DENIED'].map(count)).toEqual(['2', '1', '1']);
  expect(text).toContain(`gigvault_grpc_request_duration_seconds_count{method="${EVALUATE}"} 4`);
});

it('durations of requests and RPCs carry the trace of the newest, as exemplars (covers: G99)', async () => {
  const text = await metrics.exposition(expositionType('application/openmetrics-text'));
  const traces = (name: string) =>
    [...text.matchAll(new RegExp(`^gigvault_${name}_bucket.* # \\{trace_id="(\\w+)"`, 'gm'))].map(
      ([, trace]) => trace,
    );
  const sent = [1, 2, 3, 4].map(traceOf);
  for (const name of ['http_request_duration_seconds', 'grpc_request_duration_seconds']) {
    expect(traces(name).length).toBeGreaterThan(0);
    expect(sent).toEqual(expect.arrayContaining(traces(name)));
  }
});

it('without an endpoint nothing is loaded and nothing is sent', async () => {
  const off = await startTracing({ service: 'ca', version: '1', log: silentLog });
  await expect(off.stop()).resolves.toBeUndefined();
});
