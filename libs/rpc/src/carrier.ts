import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Answer, Answers, Call, Calls } from '@gigvault/proto/rpc/v1/carrier';
import {
  type ClientDuplexStream,
  type Client as GrpcChannel,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { methodsOf } from './contract-descriptors.ts';
import { fromServiceError, readError } from './error-codec.ts';
import { type TurnWriter, turnWriter } from './turn-writer.ts';

/** Full name of the service that carries calls. */
export const CARRIER = 'gigvault.rpc.v1.CarrierService';

/** The largest request that shares a stream, in octets: a larger one would make the others wait. */
export const LARGEST_CARRIED = 256 * 1024;

/** The most that waits for a callee that does not read, in octets: what is more is refused at once. */
const LARGEST_QUEUE = 16 * 1024 * 1024;

/** A callee of the version before this one carries nothing: the call has not begun and can be made by itself. */
export const NOT_CARRIED = Symbol('not carried');

/** Carries calls to one callee over one stream, which is opened when it is needed. */
export interface Carrier {
  /**
   * The answer's octets. Rejects with the callee's error, with UNAVAILABLE when the stream breaks or too much waits for the callee to read it,
   * and with NOT_CARRIED.
   * When `signal` aborts the callee is told, and the promise stays open: the caller has given it up.
   */
  call(call: Omit<Call, 'id'>, signal: AbortSignal): Promise<Buffer>;
  /** Ends the stream once everything is answered. */
  close(): void;
}

interface Waiting {
  resolve(response: Buffer): void;
  reject(error: unknown): void;
}

interface OpenStream {
  readonly waiting: Map<number, Waiting>;
  readonly calls: TurnWriter<Call>;
  lastId: number;
  /** No new calls; it ends with the last answer. */
  close(): void;
}

/** A carrier over this channel. */
export function createCarrier(channel: GrpcChannel, callee: string): Carrier {
  let current: OpenStream | undefined;
  return {
    call(call, signal) {
      current ??= openStream(channel, callee, (stream) => {
        if (current === stream) current = undefined;
      });
      return callOn(current, callee, call, signal);
    },
    close: () => current?.close(),
  };
}

/** The id after `last` that no call in flight has: ids are uint32, and a stream may live longer than there are any. 0 is none. */
export function nextId(last: number, inUse: { has(id: number): boolean }): number {
  let id = last;
  do id = id >= 0xffff_ffff ? 1 : id + 1;
  while (inUse.has(id));
  return id;
}

function callOn(
  stream: OpenStream,
  callee: string,
  call: Omit<Call, 'id'>,
  signal: AbortSignal,
): Promise<Buffer> {
  if (stream.calls.waiting() > LARGEST_QUEUE)
    return Promise.reject(
      new GigvaultError('UNAVAILABLE', `Too many calls wait for ${callee} to read them.`),
    );
  const id = nextId(stream.lastId, stream.waiting);
  stream.lastId = id;
  return new Promise((resolve, reject) => {
    stream.waiting.set(id, { resolve, reject });
    stream.calls.send({ ...call, id });
    signal.addEventListener(
      'abort',
      () => {
        if (stream.waiting.delete(id)) stream.calls.send({ ...GIVEN_UP, id });
      },
      { once: true },
    );
  });
}

const GIVEN_UP = { rpc: '', request: Buffer.alloc(0), requestId: '', traceparent: '' };

/** @param retire called when the stream takes no new calls any more */
function openStream(
  channel: GrpcChannel,
  callee: string,
  retire: (stream: OpenStream) => void,
): OpenStream {
  const method = methodsOf({ fullName: CARRIER })['Carry'] as NonNullable<
    ReturnType<typeof methodsOf>[string]
  >;
  const wire = channel.makeBidiStreamRequest(
    method.path,
    method.requestSerialize as (calls: Calls) => Buffer,
    method.responseDeserialize as (octets: Buffer) => Answers,
    new Metadata(),
  ) as ClientDuplexStream<Calls, Answers>;
  let closing = false;
  const endIfDone = () => {
    if (closing && stream.waiting.size === 0) wire.end();
  };
  const stream: OpenStream = {
    waiting: new Map(),
    lastId: 0,
    calls: turnWriter<Call>(
      (calls, taken) => {
        if (wire.writable) wire.write({ calls }, taken);
        else taken();
      },
      ({ request }) => request.length,
    ),
    close() {
      closing = true;
      retire(stream);
      endIfDone();
    },
  };
  const fail = (error: unknown) => {
    closing = true;
    retire(stream);
    const all = [...stream.waiting.values()];
    stream.waiting.clear();
    for (const waiting of all) waiting.reject(error);
  };
  wire.on('data', ({ answers, draining }: Answers) => {
    for (const answer of answers) settle(stream.waiting, answer, callee);
    if (draining) stream.close();
    else endIfDone();
  });
  wire.on('error', (error: ServiceError) =>
    fail(error.code === status.UNIMPLEMENTED ? NOT_CARRIED : fromServiceError(error, callee)),
  );
  wire.on('end', () => fail(new GigvaultError('UNAVAILABLE', `${callee} ended the stream.`)));
  return stream;
}

function settle(
  waiting: Map<number, Waiting>,
  { id, response, error }: Answer,
  callee: string,
): void {
  const call = waiting.get(id);
  waiting.delete(id);
  if (error === '') call?.resolve(response);
  else call?.reject(readError(error, callee));
}
