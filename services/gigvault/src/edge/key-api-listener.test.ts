import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { decodeClient } from '@gigvault/http/client-certificates';
import { KEYSTORE, methodsOf } from '@gigvault/rpc/contract-descriptors';
import { createLog, silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { clientAuthority } from '@gigvault/testkit/client-authority';
import { eventually } from '@gigvault/testkit/eventually';
import { createTestIdentities } from '@gigvault/testkit/test-identities';
import { FakeClock, systemClock } from '@gigvault/time/clock';
import {
  ChannelCredentials,
  Client,
  Metadata,
  type ServiceDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterAll, describe, expect, it } from '@jest/globals';
import { service as healthService } from 'grpc-health-check';
import { LONGEST_CALL, MOST_STREAMS } from './call-admission.ts';
import {
  type KeyApiListener,
  type KeyApiListenerOptions,
  startKeyApiListener,
} from './key-api-listener.ts';

const { certificate, privateKey, servicesCa } = createTestIdentities().identity('edge').current();
const people = clientAuthority();
const running: KeyApiListener[] = [];
afterAll(() => Promise.all(running.map((listener) => listener.stop(100))));

/** What keymgr is told of the clients that got through. */
async function listener(
  mode: 'optional' | 'required-and-matching',
  changes: Partial<KeyApiListenerOptions> = {},
) {
  const told: string[] = [];
  const started = await startKeyApiListener({
    host: '127.0.0.1',
    port: 0,
    tls: { cert: certificate, key: privateKey },
    access: { allowedNetworks: [], rateLimit: { requestsPerSecond: 0, burst: 1 } },
    certificatesOfClients: { mode, authorities: people.certificate },
    keyApi: {
      async call({ client }) {
        told.push(client);
        return { response: Buffer.alloc(0) };
      },
    },
    clock: systemClock,
    log: silentLog,
    metrics: createMetrics(),
    ...changes,
  });
  running.push(started);
  return { port: started.port, told };
}

function clientOf(port: number, shown: { cert?: string; key?: string } = {}): Client {
  const context = createSecureContext({
    ca: servicesCa,
    allowPartialTrustChain: true,
    ...shown,
  });
  const credentials = ChannelCredentials.createFromSecureContext(context, {
    checkServerIdentity: () => undefined,
  });
  return new Client(`127.0.0.1:${port}`, credentials, {
    'grpc.ssl_target_name_override': 'edge.gigvault.test',
  });
}

/** The code with which Version is answered to a client that shows this; 0 is OK. */
function versionCode(
  port: number,
  shown?: { cert?: string; key?: string },
  metadata = new Metadata(),
): Promise<number> {
  const client = clientOf(port, shown);
  const { path } = methodsOf({ fullName: KEYSTORE })['Version']!;
  const same = (octets: Buffer) => octets;
  return new Promise<number>((resolve) =>
    client.makeUnaryRequest(
      path,
      same,
      same,
      Buffer.alloc(0),
      metadata,
      (error: ServiceError | null) => resolve(error?.code ?? 0),
    ),
  ).finally(() => client.close());
}

/** The code with which Health/Check is answered. */
function checkCode(port: number): Promise<number> {
  const client = clientOf(port);
  const { path, requestSerialize, responseDeserialize } = healthMethods['Check']!;
  return new Promise<number>((resolve) =>
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { service: '' },
      (error: ServiceError | null) => resolve(error?.code ?? 0),
    ),
  ).finally(() => client.close());
}

/** A Health/Watch: its first answer, and the code with which it ends. */
function watching(client: Client) {
  const { path, requestSerialize, responseDeserialize } = healthMethods['Watch']!;
  const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {
    service: '',
  });
  const first = Promise.withResolvers<string>();
  const end = Promise.withResolvers<number>();
  call.on('data', ({ status: found }: { status: string }) => first.resolve(found));
  call.on('error', ({ code }: ServiceError) => end.resolve(code));
  return { first: first.promise, end: end.promise, cancel: () => call.cancel() };
}

/** 0 when it is answered, or the code of the refusal. */
async function watchCode(port: number): Promise<number> {
  const client = clientOf(port);
  const { first, end, cancel } = watching(client);
  try {
    return await Promise.race([first.then(() => status.OK), end]);
  } finally {
    cancel();
    client.close();
  }
}

function reflectionCode(port: number): Promise<number> {
  return reflection(port, { list_services: '' }).then(
    () => status.OK,
    ({ code }: ServiceError) => code,
  );
}

/** What grpc.reflection.v1.ServerReflection answers to one question. */
async function reflection(port: number, question: object): Promise<ReflectionAnswer> {
  const service = loadSync(REFLECTION, { keepCase: true })['grpc.reflection.v1.ServerReflection'];
  const method = (service as ServiceDefinition)['ServerReflectionInfo']!;
  const client = clientOf(port);
  const { path, requestSerialize, responseDeserialize } = method;
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  try {
    call.write(question);
    const [answer] = (await once(call, 'data')) as [ReflectionAnswer];
    return answer;
  } finally {
    call.end();
    client.close();
  }
}

interface ReflectionAnswer {
  list_services_response?: { service: { name: string }[] };
  file_descriptor_response?: { file_descriptor_proto: Buffer[] };
}

const healthMethods = healthService as ServiceDefinition;
/** Its contract, which lies beside the library. */
const REFLECTION = fileURLToPath(
  new URL('../proto/grpc/reflection/v1/reflection.proto', import.meta.resolve('@grpc/reflection')),
);
const NOT_FOUND = 5;
const INTERNAL = 13;
const UNAVAILABLE = 14;

describe('people’s gRPC', () => {
  it('lets nobody connect without a certificate where it is required, and says whose it is — covers: P7, T63', async () => {
    const { port, told } = await listener('required-and-matching');
    const stranger = clientAuthority().issue({ commonName: 'ada' });
    for (const shown of [{}, stranger]) expect(await versionCode(port, shown)).toBe(UNAVAILABLE);
    expect(told).toEqual([]);
    expect(await versionCode(port, people.issue({ commonName: 'ada' }))).toBe(0);
    const server = people.issue({ names: [{ type: 'dns', value: 'ada' }] });
    expect(await versionCode(port, server)).toBe(0);
    expect(told.map(decodeClient)).toMatchObject([
      { isRequired: true, certificate: { name: 'ada' } },
      { isRequired: true, certificate: { problem: 'names no user' } },
    ]);
  });

  it('tells of what people may call, as its .proto files name it, and of nothing between services', async () => {
    const { port } = await listener('optional');
    const { list_services_response: listed } = await reflection(port, { list_services: '' });
    expect(listed?.service.map(({ name }) => name).sort()).toEqual([
      'grpc.health.v1.Health',
      KEYSTORE,
    ]);
    const { file_descriptor_response: found } = await reflection(port, {
      file_containing_symbol: 'keychain.v1.GenerateKeyRequest',
    });
    const files = Buffer.concat(found?.file_descriptor_proto ?? []).toString('latin1');
    expect(files).toContain('public_key_pem');
    expect(files).not.toContain('publicKeyPem');
    expect(files).not.toContain('gigvault');
    expect(
      await reflection(port, { file_containing_symbol: 'gigvault.ca.v1.IssuanceService' }),
    ).toMatchObject({
      error_response: { error_code: NOT_FOUND },
    });
  });

  it('goes on after a fault of our own, and logs and counts each call — covers: K96, K98, K99', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gigvault-key-api-'));
    const file = join(folder, 'log');
    const metrics = createMetrics();
    let calls = 0;
    const { port } = await listener('optional', {
      metrics,
      log: createLog({ service: 'edge', version: '0', level: 'info', destination: file }),
      keyApi: {
        async call() {
          if (++calls === 1) throw new TypeError('a canary of a fault');
          return { response: Buffer.alloc(0) };
        },
      },
    });
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const metadata = new Metadata();
    metadata.set('x-request-id', 'r-1');
    metadata.set('traceparent', `00-${traceId}-00f067aa0ba902b7-01`);
    expect([await versionCode(port, {}, metadata), await versionCode(port)]).toEqual([INTERNAL, 0]);
    const scraped = await metrics.exposition();
    for (const status of ['INTERNAL', 'OK'])
      expect(scraped).toContain(
        `gigvault_grpc_api_requests_total{method="Version",status="${status}"} 1`,
      );
    expect(scraped).toContain(
      'gigvault_grpc_api_request_duration_seconds_count{method="Version"} 2',
    );
    const given = { operation: 'grpc Version', request_id: 'r-1', trace_id: traceId };
    await eventually(() => {
      const lines = readFileSync(file, 'utf8').trim().split('\n');
      expect(lines.map((line) => JSON.parse(line))).toMatchObject([
        { ...given, error: { stack: expect.stringContaining('a canary') } },
        { ...given, status: 'INTERNAL', outcome: 'failed' },
        {
          operation: 'grpc Version',
          status: 'OK',
          outcome: 'ok',
          request_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
          trace_id: expect.stringMatching(/^[0-9a-f]{32}$/),
        },
      ]);
    });
    rmSync(folder, { recursive: true });
  });

  it('gates health and reflection as every call — covers: C53', async () => {
    const rateLimit = { requestsPerSecond: 0.001, burst: 1 };
    const { port: closed } = await listener('optional', {
      access: { allowedNetworks: ['192.0.2.0/24'], rateLimit },
    });
    const answers = () => [versionCode, checkCode, watchCode, reflectionCode];
    for (const ask of answers()) expect(await ask(closed)).toBe(status.PERMISSION_DENIED);
    const { port: limited } = await listener('optional', {
      access: { allowedNetworks: [], rateLimit },
    });
    expect(await checkCode(limited)).toBe(status.OK);
    for (const ask of answers()) expect(await ask(limited)).toBe(status.RESOURCE_EXHAUSTED);
  });

  it('bounds the streams of all connections, which leave calls their places, and ends them after a minute', async () => {
    const clock = new FakeClock(Date.now());
    const { port } = await listener('optional', { clock });
    const clients = Array.from({ length: 4 }, () => clientOf(port));
    const ends: Promise<number>[] = [];
    const cancels: (() => void)[] = [];
    const watch = async (client: Client) => {
      const { first, end, cancel } = watching(client);
      ends.push(end);
      cancels.push(cancel);
      return Promise.race([first, end]);
    };
    try {
      const each = MOST_STREAMS / 2;
      const begun = await Promise.all(
        clients.flatMap((client) => Array.from({ length: each }, () => watch(client))),
      );
      expect(begun.filter((answer) => answer === 'SERVING')).toHaveLength(MOST_STREAMS);
      expect(begun.filter((answer) => answer === status.UNAVAILABLE)).toHaveLength(MOST_STREAMS);
      expect(await reflectionCode(port)).toBe(status.UNAVAILABLE);
      expect([await checkCode(port), await versionCode(port)]).toEqual([status.OK, status.OK]);
      clock.advance(LONGEST_CALL);
      const codes = await Promise.all(ends);
      expect(codes.filter((code) => code === status.DEADLINE_EXCEEDED)).toHaveLength(MOST_STREAMS);
      expect(await watch(clients[0]!)).toBe('SERVING');
    } finally {
      for (const cancel of cancels) cancel();
      for (const client of clients) client.close();
    }
  });

  it('gives the place of a stream back when its client goes away', async () => {
    const { port } = await listener('optional');
    const client = clientOf(port);
    const all = Array.from({ length: MOST_STREAMS }, () => watching(client));
    await Promise.all(all.map(({ first }) => first));
    expect(await watchCode(port)).toBe(status.UNAVAILABLE);
    for (const { cancel } of all) cancel();
    await eventually(async () => expect(await watchCode(port)).toBe(status.OK));
    client.close();
  });

  it('asks for none where they are optional', async () => {
    const { port, told } = await listener('optional');
    expect(await versionCode(port)).toBe(0);
    expect(told).toEqual(['']);
  });
});
