import { once } from 'node:events';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type {
  EvaluateRequest,
  EvaluateResponse,
  PolicyService,
} from '@gigvault/proto/policy/v1/policy';
import { silentLog } from '@gigvault/telemetry/log';
import { createTestIdentities } from '@gigvault/testkit/test-identities';
import { afterAll, beforeAll } from '@jest/globals';
import { Controller, type INestMicroservice, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { GrpcMethod } from '@nestjs/microservices';
import { throwError } from 'rxjs';
import type { CallContext, Client } from '../src/call.ts';
import { RPC } from '../src/contracts.ts';
import { createGrpcClients, type GrpcClients } from '../src/grpc-client.ts';
import { type GrpcServer, startGrpcServer } from '../src/grpc-server.ts';
import { type HandlerTable, HandlerTableServer } from '../src/handler-table.ts';
import { createInProcessBroker } from '../src/in-process-transport.ts';
import { readPeerTable } from '../src/peers.ts';
import type { PeerName, ServiceName } from '../src/service-name.ts';

const PEERS = 'policy: { gigvault.policy.v1.PolicyService/Evaluate: [ra] }';
/** Of the peers. */
export const identities = createTestIdentities();
/** What the service has seen. */
export const seen = { aborted: 0, evaluated: 0 };
/** Lets each of the calls of profile `slow` go on. */
export const slowCalls: (() => void)[] = [];

/** Does what the request's profile says, so that one RPC shows every outcome. */
@Controller()
class Echo {
  @GrpcMethod('PolicyService', 'Evaluate')
  async evaluate(
    request: EvaluateRequest,
    _metadata: unknown,
    call: CallContext,
  ): Promise<EvaluateResponse> {
    seen.evaluated++;
    if (request.profile === 'refuse')
      throw new GigvaultError('BAD_CSR', 'not this one', {
        problems: [{ pointer: '/x', message: 'y' }],
      });
    if (request.profile === 'break') throw new Error('the password is hunter2');
    if (request.profile === 'wait') {
      // Who hangs up at once has done so before this is reached.
      if (!call.signal.aborted) await once(call.signal, 'abort');
      seen.aborted++;
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

/** Its module. */
export class Root {}
Module({ controllers: [Echo] })(Root);

let app: INestMicroservice;
let table: HandlerTable;
let server: GrpcServer;
/** Calls that were told of. */
export const refused: string[] = [];
const open: GrpcClients[] = [];
/** The in-process transport. */
export const broker = createInProcessBroker({ encode: true });

/** Starts the service before the tests of a file, and its server, and stops both after them. */
export function useEcho(): { readonly port: number } {
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
  afterAll(async () => {
    for (const clients of open) clients.close();
    await server.stop(1_000);
    for (const goOn of slowCalls) goOn();
    await app.close();
  });
  return {
    get port() {
      return server.port;
    },
  };
}

/** One more server of the same service. */
export function startServer(port = 0): Promise<GrpcServer> {
  const identity = identities.identity('policy');
  return startGrpcServer({ host: '127.0.0.1', port, identity, tables: [table] });
}

/** Clients that are closed after the tests. */
export function clientsOf(
  peer: PeerName,
  addresses: Partial<Record<ServiceName, string>>,
  from = identities,
): GrpcClients {
  const clients = createGrpcClients(from.identity(peer), addresses);
  open.push(clients);
  return clients;
}

/** A peer's client over mTLS. */
export function overTheWire(
  peer: PeerName,
  from = identities,
  port = server.port,
): Client<PolicyService> {
  return clientsOf(peer, { policy: `127.0.0.1:${port}` }, from).client(RPC.policy, 'policy');
}

/** Whose profile says what the service does. */
export function request(profile: string): EvaluateRequest {
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
