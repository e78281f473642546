import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { KEYSTORE, methodsOf, type RpcMethod } from '@gigvault/rpc/contract-descriptors';
import { RPC } from '@gigvault/rpc/contracts';
import type { ServiceName } from '@gigvault/rpc/service-name';
import { httpClient } from '@gigvault/testkit/http-client';
import { serviceProcesses } from '@gigvault/testkit/leftovers';
import { type PkiProcess, startPki } from '@gigvault/testkit/pki-process';
import { softHsmToken } from '@gigvault/testkit/softhsm-token';
import type { TestToken } from '@gigvault/testkit/test-token';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { openFiles, openTokenStore, signingWith } from '../../keymgr/bench/open-stores.ts';
import { portOf } from '../src/composition/split-ports.ts';
import { closedLoopRound } from './closed-loop.ts';
import { type CpuMeter, cpuOf, cpuOfServer, ownCpu } from './cpu.ts';
import { issueFrom } from './issuance-load.ts';
import { loadRound, startLoad } from './load-process.ts';
import {
  type CpuShares,
  type Effort,
  type Measurement,
  type Round,
  rateOf,
  roundOf,
} from './measurement.ts';
import { startOwnSuite } from './own-suite.ts';
import { BATCH, type SigningSetup } from './signing-load.ts';
import { median } from './statistics.ts';

const IN_FLIGHT = 64;
/** One client asks as fast as it can. */
const NO_RATE_LIMIT = ['--https-rate-limit-requests-per-second', '0'];
/** Milliseconds of load, and calls one after another, until V8 has compiled what they run in three processes: measured, and a round before that has half the rate. */
const WARM_UP = 4_000;
const WARM_UP_CALLS = 5_000;
const MESSAGE = Buffer.alloc(800, 7);
const SERVICES = ['auth', 'keymgr', 'ca', 'audit'] as const satisfies readonly ServiceName[];

/** Keys in files and in SoftHSM: how long things take, how many signatures there are, and what issuance costs with a token. */
export async function* benchKeymgr(effort: Effort): AsyncIterable<Measurement> {
  const token = await softHsmToken({ label: 'bench' });
  Object.assign(process.env, token.environment);
  try {
    yield* keysInFiles();
    yield* requests(effort);
    yield await signaturesOfToken(token, effort);
    yield* await issuanceWithToken(token, effort);
  } finally {
    await token.remove();
  }
}

/** RSA in this process, and how long it holds up whoever else has something to do. */
async function* keysInFiles(): AsyncIterable<Measurement> {
  const directory = mkdtempSync(join(tmpdir(), 'gv-keys-'));
  try {
    const store = openFiles(directory);
    const generation = await timesOf(20, processCpu, () => store.generate('rsa-2048'));
    yield milliseconds('RSA-2048 key pair, encrypted file', generation, 100);
    const handle = await store.generate('rsa-2048');
    const sign = () => store.sign(handle, MESSAGE, { format: 'der' });
    yield milliseconds('RSA-2048 signature', await timesOf(200, processCpu, sign), 10);
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const { cpu } = await timesOf(4, processCpu, () => store.generate('rsa-4096'));
    delay.disable();
    const stall = { times: [delay.max / 1e6], cpu };
    yield milliseconds('longest stall of the loop, RSA-4096 generation', stall, 20);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Of one process per service, over the network: what a request costs, and signatures a second. */
async function* requests({ rounds, roundMs }: Effort): AsyncIterable<Measurement> {
  const pki = await startPki('split', ...['--encode-in-process', 'false', ...NO_RATE_LIMIT]);
  try {
    const { rest, grpc } = await requestTimes(pki);
    yield milliseconds('GET /keys/{keyId}, through the edge', rest, 5);
    yield milliseconds('KeystoreService/GetKey, gRPC through the edge', grpc, 2);
    const rate = async (
      operation: SigningSetup['operation'],
      concurrency: number,
      about: Parameters<typeof rateOf>[1],
    ) => {
      const load = startLoad('signing', signingSetup(pki, operation));
      try {
        const pid = serviceProcesses(pki.dataDir).get('keymgr') as number;
        const cpu = cpuOf([pid], pki.dataDir, load.pid);
        await loadRound(load, { concurrency, ms: WARM_UP }, cpu);
        const done: Round[] = [];
        for (let i = 0; i < rounds; i++)
          done.push(await loadRound(load, { concurrency, ms: roundMs }, cpu));
        return rateOf(operation === 'batch' ? done.map(eachOfBatch) : done, {
          concurrency,
          ...about,
        });
      } finally {
        await load.stop();
      }
    };
    const get = await rate('get', 1, { work: '' });
    yield {
      ...get,
      work: 'KeyService/GetKey, mTLS gRPC between services',
      ...inMilliseconds(get, 2),
    };
    yield await rate('sign', IN_FLIGHT, {
      work: 'P-256 Sign, mTLS gRPC',
      floor: { value: 6_000 },
      goal: { value: 8_000 },
    });
    yield await rate('batch', 4, {
      work: `P-256 SignBatch of ${BATCH}, mTLS gRPC`,
      floor: { value: 20_000 },
      goal: { value: 25_000 },
    });
  } finally {
    await pki.dispose();
  }
}

function signingSetup(
  { dataDir, ports }: PkiProcess,
  operation: SigningSetup['operation'],
): SigningSetup {
  const file = (name: string) => join(dataDir, 'tls', name);
  return {
    trustDomain: 'gigvault.local',
    identity: {
      servicesCa: file('services-ca.crt'),
      certificate: file('ocsp.crt'),
      privateKey: file('ocsp.key'),
    },
    address: `127.0.0.1:${portOf(ports.grpc, 'keymgr')}`,
    operation,
  };
}

/** A batch is BATCH signatures; its times stay those of the batch. */
function eachOfBatch(round: Round): Round {
  const { node, postgres, loader } = round.cpu;
  const cpu = {
    node: node / BATCH,
    ...(postgres === undefined ? {} : { postgres: postgres / BATCH }),
    ...(loader === undefined ? {} : { loader: loader / BATCH }),
  };
  return { ...round, perSecond: round.perSecond * BATCH, cpu };
}

/** One client that asks for a key of its own over both protocols, with the token of the context that `up` wrote. */
async function requestTimes(pki: PkiProcess): Promise<{ rest: Timed; grpc: Timed }> {
  const processes = serviceProcesses(pki.dataDir);
  const serving = ['edge', 'keymgr'].map((name) => processes.get(name) as number);
  const cpu = cpuOf(serving, pki.dataDir, process.pid);
  const http = httpClient(readFileSync(pki.rootFile));
  const url = `${pki.publicUrl}/service/api/v1`;
  const post = (path: string, body: object, headers = {}) =>
    http.fetch(`${url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  try {
    const context = join(pki.home, 'config', 'gigvault', 'contexts', 'local');
    const clientSecret = readFileSync(join(context, 'api-key'), 'utf8').trim();
    const grant = { grantType: 'client_credentials', clientSecret };
    const { accessToken } = (await post('/token', grant)).json<{ accessToken: string }>();
    const headers = { authorization: `Bearer ${accessToken}` };
    await post('/keys', { keyId: 'bench', keyType: 'ec-p256' }, headers);
    const rest = await warmTimesOf(1_000, cpu, async () => {
      const { status } = await http.fetch(`${url}/keys/bench`, { headers });
      if (status !== 200) throw new Error(`GET /keys/bench answered ${status}`);
    });
    return { rest, grpc: await grpcTimes(pki, headers, cpu) };
  } finally {
    http.close();
  }
}

async function grpcTimes(
  { ports, rootFile }: PkiProcess,
  headers: { readonly authorization: string },
  cpu: CpuMeter,
): Promise<Timed> {
  const channel = new Client(
    `localhost:${ports.keyApi}`,
    credentials.createSsl(readFileSync(rootFile)),
  );
  const { path, requestSerialize, responseDeserialize } = methodsOf({ fullName: KEYSTORE })[
    'GetKey'
  ] as RpcMethod;
  const metadata = new Metadata();
  metadata.set('authorization', headers.authorization);
  const call = () =>
    new Promise<void>((resolve, reject) => {
      const request = { keyId: 'bench' };
      channel.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        (error) => (error ? reject(error) : resolve()),
      );
    });
  try {
    return await warmTimesOf(1_000, cpu, call);
  } finally {
    channel.close();
  }
}

/** As keymgr uses it: verified by whoever asked. CPU of this process and of the one that holds the library. */
async function signaturesOfToken(
  token: TestToken,
  { rounds, roundMs }: Effort,
): Promise<Measurement> {
  const store = openTokenStore(token.uri);
  try {
    const sign = await signingWith(store, MESSAGE);
    const cpu = withDriver(store.driverPid() as number);
    await closedLoopRound(sign, IN_FLIGHT, roundMs / 2, cpu);
    const done: Round[] = [];
    for (let i = 0; i < rounds; i++)
      done.push(await closedLoopRound(sign, IN_FLIGHT, roundMs, cpu));
    return rateOf(done, {
      work: 'P-256 signatures, SoftHSM 2',
      concurrency: IN_FLIGHT,
      floor: { value: 8_000 },
      goal: { value: 10_000 },
    });
  } finally {
    await store.close();
  }
}

function withDriver(driver: number): CpuMeter {
  const ofDriver = cpuOfServer(driver);
  return () => {
    const own = processCpu();
    const used = ofDriver();
    return () => ({ node: own().node + used().node });
  };
}

const processCpu: CpuMeter = () => {
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return { node: user + system };
  };
};

/** The same work with its keys in files and in the token, by turns. */
async function issuanceWithToken(
  token: TestToken,
  { rounds, roundMs }: Effort,
): Promise<Measurement[]> {
  const inToken = {
    keymgr: { backend: 'hsm', backends: { hsm: { type: 'pkcs11', uri: token.uri } } },
  };
  const suites = [await startOwnSuite(SERVICES), await startOwnSuite(SERVICES, inToken)];
  try {
    const sides = [];
    for (const { suite, dataDir } of suites) {
      const client = <T>(service: T) => suite.broker.client('ra', service as never, 'ca') as never;
      const operation = await issueFrom(client(RPC.issuance), client(RPC.issuer));
      sides.push({ operation, cpu: ownCpu(dataDir), done: [] as Round[] });
    }
    for (let i = 0; i <= rounds; i++)
      for (const { operation, cpu, done } of sides) {
        const round = await closedLoopRound(operation, IN_FLIGHT, roundMs, cpu);
        // The first is to warm up.
        if (i > 0) done.push(round);
      }
    const [files, hsm] = sides.map(({ done }) => done) as [Round[], Round[]];
    const concurrency = IN_FLIGHT;
    return [
      rateOf(files, { work: 'CSR to certificate, keys in files', concurrency }),
      rateOf(hsm, { work: 'CSR to certificate, keys in SoftHSM 2', concurrency }),
      {
        work: 'CSR to certificate, SoftHSM 2 to files',
        unit: '×',
        value: median(hsm.map((round, i) => round.perSecond / (files[i] as Round).perSecond)),
        concurrency,
        rounds,
        floor: { value: 0.5 },
      },
    ];
  } finally {
    for (const { stop } of suites) await stop();
  }
}

/** Milliseconds of each operation, and CPU microseconds of one. */
interface Timed {
  readonly times: readonly number[];
  readonly cpu: CpuShares;
}

/** One after another. */
async function timesOf(
  count: number,
  cpu: CpuMeter,
  operation: () => Promise<unknown>,
): Promise<Timed> {
  const times: number[] = [];
  const used = cpu();
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    const begin = performance.now();
    await operation();
    times.push(performance.now() - begin);
  }
  return { times, cpu: roundOf(times, (performance.now() - start) / 1000, used()).cpu };
}

/** The same after some that are not counted. */
async function warmTimesOf(...[count, ...what]: Parameters<typeof timesOf>): Promise<Timed> {
  await timesOf(WARM_UP_CALLS, ...what);
  return timesOf(count, ...what);
}

/** @param floor milliseconds */
function milliseconds(work: string, { times, cpu }: Timed, floor: number): Measurement {
  const p50 = median(times);
  return { work, cpu, p50, rounds: times.length, ...inMilliseconds({ p50 }, floor) };
}

/** The median time as what is measured. @param floor milliseconds */
function inMilliseconds(
  { p50 }: { readonly p50?: number },
  floor: number,
): Pick<Measurement, 'unit' | 'value' | 'floor'> {
  return { unit: 'ms', value: p50 as number, floor: { value: floor } };
}
