import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ERROR_TABLE, isErrorCode } from '@gigvault/errors/error-table';
import { REPOSITORY } from '@gigvault/testkit/pki-process';
import { type ChannelCredentials, Client, credentials, Metadata } from '@grpc/grpc-js';
import { loadSync, type MethodDefinition } from '@grpc/proto-loader';
import protobuf from 'protobufjs';
import { API, type RestClient } from './rest-client.ts';
import type { SharedPki } from './use-pki.ts';

/** What came of an operation, in the words that protocols share. */
export type Outcome = { readonly done: Answer } | Refusal;

interface Refusal {
  readonly refused: string;
  /** Whole seconds; absent when no time is told. */
  readonly retryAfter?: number;
}

/** An answer by the names of REST's fields; octets are base64. */
export type Answer = Readonly<Record<string, unknown>>;

/** Fields of a request, as REST has them. */
export type Fields = Readonly<Record<string, string | number>>;

/** The operations of requirement X7. */
export const OPERATIONS = [
  'Health',
  'Version',
  'ListBackends',
  'GetBackendInfo',
  'GenerateKey',
  'GetKey',
  'ListKeys',
  'DeleteKey',
  'RotateKey',
  'Sign',
  'Verify',
  'Encrypt',
  'Decrypt',
] as const;

/** One of OPERATIONS. */
export type OperationName = (typeof OPERATIONS)[number];

/** A client of one protocol. @param authorization undefined: none is sent */
export type KeystoreClient = (
  operation: OperationName,
  fields: Fields,
  authorization: string | undefined,
) => Promise<Outcome>;

const REST: Readonly<Record<OperationName, readonly [method: string, path: string]>> = {
  Health: ['GET', '/health'],
  Version: ['GET', '/version'],
  ListBackends: ['GET', `${API}/backends`],
  GetBackendInfo: ['GET', `${API}/backends/:name`],
  GenerateKey: ['POST', `${API}/keys`],
  GetKey: ['GET', `${API}/keys/:keyId`],
  ListKeys: ['GET', `${API}/keys`],
  DeleteKey: ['DELETE', `${API}/keys/:keyId`],
  RotateKey: ['POST', `${API}/keys/:keyId/rotate`],
  Sign: ['POST', `${API}/keys/:keyId/sign`],
  Verify: ['POST', `${API}/keys/:keyId/verify`],
  Encrypt: ['POST', `${API}/keys/:keyId/encrypt`],
  Decrypt: ['POST', `${API}/keys/:keyId/decrypt`],
};

/** The REST API. Checks that the status of an error is that of its row. */
export function restKeystore({ fetch }: Pick<RestClient, 'fetch'>): KeystoreClient {
  return async (operation, fields, authorization) => {
    const [method, template] = REST[operation];
    const rest = new Map(Object.entries(fields));
    const path = template.replace(/:(\w+)/, (_all, name: string) => {
      const value = String(rest.get(name));
      rest.delete(name);
      return encodeURIComponent(value);
    });
    const query = method === 'GET' ? `?${new URLSearchParams([...rest].map(pair))}` : '';
    const answer = await fetch(path + query.replace(/^\?$/, ''), {
      method,
      headers: {
        'content-type': 'application/json',
        ...(authorization === undefined ? {} : { authorization }),
      },
      ...(method === 'POST' ? { body: JSON.stringify(Object.fromEntries(rest)) } : {}),
    });
    const body = answer.json<Answer & { error?: { code: string } }>();
    if (answer.status < 300) return { done: body };
    const code = body.error?.code ?? 'none';
    if (!isErrorCode(code) || ERROR_TABLE[code].http !== answer.status)
      throw new Error(`${operation} answered ${answer.status} with ${code}`);
    return refusal(code, answer.headers['retry-after']);
  };
}

function refusal(refused: string, retryAfter: unknown): Refusal {
  return retryAfter === undefined
    ? { refused }
    : { refused, retryAfter: Math.ceil(Number(retryAfter)) };
}

function pair([name, value]: [string, string | number]): [string, string] {
  return [name, String(value)];
}

const OCTETS: ReadonlySet<string> = new Set([
  'data',
  'signature',
  'plaintext',
  'ciphertext',
  'additionalData',
]);

/** google/rpc/status.proto and error_details.proto, as far as they are looked at. */
const GOOGLE = protobuf.parse(`
  syntax = "proto3";
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
  message RetryInfo { Duration retry_delay = 1; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
`).root;

/** A stranger's gRPC client: the .proto, the root certificate, an address. */
export interface GrpcKeystore {
  readonly call: KeystoreClient;
  /** The client itself, for what the operations do not say. */
  readonly client: Client;
  readonly methods: Readonly<Record<OperationName, MethodDefinition<object, object>>>;
  close(): void;
}

/** @param trust default: the root of the PKI */
export function grpcKeystore({ pki }: SharedPki, trust?: ChannelCredentials): GrpcKeystore {
  const file = join(REPOSITORY, 'proto', 'keychain', 'v1', 'keystore.proto');
  const loaded = loadSync(file, { keepCase: true, defaults: true, longs: Number });
  const methods = loaded['keychain.v1.KeystoreService'] as unknown as GrpcKeystore['methods'];
  const root = trust ?? credentials.createSsl(readFileSync(pki.rootFile));
  const client = new Client(`localhost:${pki.ports.keyApi}`, root);
  return {
    client,
    methods,
    close: () => client.close(),
    call: (operation, fields, authorization) =>
      callGrpc(client, methods[operation], fields, authorization),
  };
}

function callGrpc(
  client: Client,
  method: MethodDefinition<object, object>,
  fields: Fields,
  authorization: string | undefined,
): Promise<Outcome> {
  const metadata = new Metadata();
  if (authorization !== undefined) metadata.set('authorization', authorization);
  const { path, requestSerialize, responseDeserialize } = method;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      toMessage(fields),
      metadata,
      { deadline: Date.now() + 20_000 },
      (error, answer) => {
        if (!error) return resolve({ done: fromMessage(answer as object) });
        const [details] = error.metadata.get('grpc-status-details-bin');
        if (details === undefined) return reject(error);
        const { reason, retryAfter } = detailsOf(details as Buffer);
        if (isErrorCode(reason) && ERROR_TABLE[reason].grpc === error.code)
          return resolve(refusal(reason, retryAfter));
        reject(new Error(`${path} answered ${error.code} with ${reason}`));
      },
    );
  });
}

function detailsOf(octets: Buffer): { reason: string; retryAfter: number | undefined } {
  const status = GOOGLE.lookupType('Status').decode(octets) as unknown as {
    details: { typeUrl: string; value: Buffer }[];
  };
  const detail = <T>(type: string) => {
    const url = `type.googleapis.com/google.rpc.${type}`;
    const found = status.details.find(({ typeUrl }) => typeUrl === url);
    return found && (GOOGLE.lookupType(type).decode(found.value) as unknown as T);
  };
  const { reason = 'none' } = detail<{ reason: string }>('ErrorInfo') ?? {};
  const delay = detail<{ retryDelay: { seconds: number; nanos: number } }>('RetryInfo')?.retryDelay;
  return { reason, retryAfter: delay && Number(delay.seconds) + delay.nanos / 1e9 };
}

function toMessage(fields: Fields): object {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      OCTETS.has(name) ? Buffer.from(String(value), 'base64') : value,
    ]),
  );
}

/** In the names of REST, without what is empty. */
function fromMessage(message: object): Answer {
  const present = Object.entries(message).filter(([, value]) => value !== '' && value !== 0);
  return Object.fromEntries(
    present.map(([name, value]) => [
      name.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase()),
      shownAs(value),
    ]),
  );
}

function shownAs(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString('base64');
  if (Array.isArray(value)) return value.map(shownAs);
  return typeof value === 'object' && value !== null ? fromMessage(value) : value;
}
