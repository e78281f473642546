import { asGigvaultError, GigvaultError, toErrorRecord } from '@gigvault/errors/gigvault-error';
import type { Answer, Answers, Call, Calls } from '@gigvault/proto/rpc/v1/carrier';
import { traceIdOf } from '@gigvault/telemetry/correlation';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { methodsOf, type RpcMethod } from './contract-descriptors.ts';
import { toServiceError } from './error-codec.ts';
import type { HandlerTable } from './handler-table.ts';
import { MAX_MESSAGE } from './message-size.ts';
import type { PeerName } from './service-name.ts';
import { ENVELOPE, turnWriter } from './turn-writer.ts';

/** Octets of answers that wait for a caller that does not read: with more, no calls are taken from it. */
const LARGEST_QUEUE = 16 * 1024 * 1024;

/** With more than this an answer is not kept for it; what runs already could hold any amount. */
const LARGEST_BACKLOG = 2 * MAX_MESSAGE;

type Stream = ServerDuplexStream<Calls, Answers>;

/** The server's side of gigvault.rpc.v1.CarrierService. */
export interface CarriedCalls {
  /** Serves a stream of this peer; undefined is nobody of the trust domain. */
  serve(stream: Stream, peer: PeerName | undefined): void;
  /** Asks every caller to take another stream and to end this one. */
  drain(): void;
}

/** @param tables by the full names of the services that they serve */
export function createCarriedCalls(tables: ReadonlyMap<string, HandlerTable>): CarriedCalls {
  const streams = new Set<Stream>();
  let draining = false;
  return {
    serve(stream, peer) {
      if (peer === undefined) {
        const error = new GigvaultError(
          'UNAUTHENTICATED',
          'The client certificate names no peer of this trust domain.',
        );
        stream.emit('error', toServiceError(error));
        return;
      }
      streams.add(stream);
      stream.once('close', () => streams.delete(stream));
      serveStream(stream, (call, signal) => answer(tables, peer, call, signal));
      if (draining) stream.write({ answers: [], draining });
    },
    drain() {
      draining = true;
      for (const stream of streams) stream.write({ answers: [], draining });
    },
  };
}

function serveStream(
  stream: Stream,
  run: (call: Call, signal: AbortSignal) => Promise<Answer>,
): void {
  const running = new Map<number, AbortController>();
  /** Taken, and their answers not written yet. */
  let unanswered = 0;
  let ending = false;
  let gone = false;
  const endIfDone = () => {
    if (ending && !gone && unanswered === 0) {
      gone = true;
      stream.end();
    }
  };
  const writer = turnWriter<Answer>(
    (answers, taken) => {
      const onTaken = () => {
        taken();
        if (writer.waiting() <= LARGEST_QUEUE) stream.resume();
      };
      if (gone) onTaken();
      else stream.write({ answers, draining: false }, onTaken);
      unanswered -= answers.length;
      endIfDone();
    },
    ({ response }) => response.length,
  );
  function write(answered: Answer): void {
    writer.send(writer.waiting() > LARGEST_BACKLOG ? notRead(answered) : answered);
    // A caller that does not read its answers gets no more of them.
    if (writer.waiting() > LARGEST_QUEUE) stream.pause();
  }
  const giveUp = (call: AbortController | undefined) =>
    call?.abort(new GigvaultError('UNAVAILABLE', 'The caller gave up.'));

  async function take(call: Call): Promise<void> {
    if (call.rpc === '') {
      giveUp(running.get(call.id));
      return;
    }
    const hangUp = new AbortController();
    unanswered++;
    running.set(call.id, hangUp);
    const answered = await run(call, hangUp.signal);
    running.delete(call.id);
    write(answered);
  }

  stream.on('data', ({ calls }: Calls) => {
    for (const call of calls) void take(call);
  });
  stream.on('end', () => {
    ending = true;
    endIfDone();
  });
  stream.on('cancelled', () => {
    gone = true;
    for (const call of running.values()) giveUp(call);
  });
  // A connection that breaks is told of by `cancelled`; unheard, the error would end the process.
  stream.on('error', () => undefined);
}

function notRead({ id }: Answer): Answer {
  const error = new GigvaultError('UNAVAILABLE', 'The caller does not read its answers.');
  return { id, response: Buffer.alloc(0), error: JSON.stringify(toErrorRecord(error)) };
}

/** Never rejects: what goes wrong is the answer. */
async function answer(
  tables: ReadonlyMap<string, HandlerTable>,
  peer: PeerName,
  { id, rpc, request, requestId, traceparent }: Call,
  signal: AbortSignal,
): Promise<Answer> {
  try {
    const { table, method } = find(tables, rpc);
    const response = await table.dispatch({
      peer,
      rpc,
      request: method.requestDeserialize(request),
      signal,
      requestId,
      traceId: traceIdOf(traceparent || undefined),
      traceparent: traceparent || undefined,
    });
    const octets = method.responseSerialize(response);
    if (octets.length > MAX_MESSAGE - ENVELOPE)
      throw new GigvaultError('PAYLOAD_TOO_LARGE', 'The answer is too large for a message.');
    return { id, response: octets, error: '' };
  } catch (error) {
    const record = toErrorRecord(asGigvaultError(error));
    return { id, response: Buffer.alloc(0), error: JSON.stringify(record) };
  }
}

function find(
  tables: ReadonlyMap<string, HandlerTable>,
  rpc: string,
): { table: HandlerTable; method: RpcMethod } {
  const [fullName = '', name = ''] = rpc.split('/', 2);
  const table = tables.get(fullName);
  const method = table && methodsOf({ fullName })[name];
  if (table === undefined || method === undefined)
    throw new GigvaultError('METHOD_NOT_ALLOWED', `Nothing here serves ${rpc}.`);
  return { table, method };
}
