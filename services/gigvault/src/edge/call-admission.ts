import { randomUUID } from 'node:crypto';
import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import { createBound, type Entry } from '@gigvault/http/admission';
import type { ApiGate } from '@gigvault/http/api-gate';
import { type Correlation, traceIdOf, withCorrelation } from '@gigvault/telemetry/correlation';
import type { Log } from '@gigvault/telemetry/log';
import type { Metrics } from '@gigvault/telemetry/metrics';
import { AWAKE, type Clock } from '@gigvault/time/clock';
import { Metadata, ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import { toRichError } from './rich-status.ts';

/** What an admission of calls needs. */
export interface CallAdmissionOptions {
  readonly gate: (address: string) => ReturnType<ApiGate>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Milliseconds that a call may take, whatever its client says: RSA in a TPM takes half a minute to make. */
export const LONGEST_CALL = 60_000;
/** Calls in hand; more are UNAVAILABLE. */
const MOST_IN_HAND = 500;
/** Those that go on until their client ends them (Health/Watch, reflection), in all. */
export const MOST_STREAMS = 100;
const REQUEST_ID = 'x-request-id';
/** Set here; what a client sends under that name is dropped. */
const TRACE_ID = 'x-gigvault-trace-id';

/** What is not the client's fault. */
const FAILURES: ReadonlySet<status> = new Set([
  status.CANCELLED,
  status.UNKNOWN,
  status.DEADLINE_EXCEEDED,
  status.INTERNAL,
  status.UNAVAILABLE,
  status.DATA_LOSS,
]);

/**
 * Before every service of a listener, health and reflection too: judges the client's address before the call is read, bounds what is in hand and how long
 * it may be, and logs and counts each call. Which ids it has stands in its metadata from then on (correlationOf). As with REST, whoever withholds a
 * request takes no place.
 */
export function callAdmission(options: CallAdmissionOptions): ServerInterceptor {
  const { gate, clock } = options;
  const calls = createBound(MOST_IN_HAND, () => 'call');
  const streams = createBound(MOST_STREAMS, () => 'stream');
  const tell = teller(options);

  return ({ path, responseStream }, call) => {
    const method = path.slice(path.lastIndexOf('/') + 1);
    const address = addressOf(call.getPeer());
    const begin = performance.now();
    const ended = new AbortController();
    let correlation = correlate(new Metadata());
    let entry: Entry | undefined;

    function end(code: status): void {
      if (ended.signal.aborted) return;
      ended.abort(AWAKE);
      if (entry?.admitted) entry.leave(undefined);
      tell({ method, address, correlation, code, ms: performance.now() - begin });
    }

    function refuse(error: GigvaultError): void {
      call.sendStatus(toRichError(error));
      end(error.row.grpc);
    }

    function admit(judge: () => void, next: () => void): void {
      try {
        judge();
      } catch (error) {
        refuse(asGigvaultError(error));
        return;
      }
      next();
    }

    function enter(): void {
      entry ??= (responseStream ? streams : calls).enter('POST', method);
      if (entry.admitted) return;
      const message = 'More is asked for than can be worked on; nothing was done.';
      throw new GigvaultError('OVERLOADED', message, { retryAfter: entry.retryAfter });
    }

    clock.sleep(LONGEST_CALL, ended.signal).then(
      () => refuse(new GigvaultError('DEADLINE_EXCEEDED', 'A call ends after a minute.')),
      // It has ended.
      () => undefined,
    );
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata(metadata, pass) {
            correlation = correlate(metadata);
            admit(
              () => gate(address),
              () => pass(metadata),
            );
          },
          onReceiveMessage: (message, pass) => admit(enter, () => pass(message)),
          // Of each call, after its status if it has one. Without: the client went away, or its deadline passed.
          onCancel: () => end(status.CANCELLED),
        }),
      sendStatus(answer, next) {
        next(answer);
        end(answer.code ?? status.UNKNOWN);
      },
    });
  };
}

/** Of a call that callAdmission let in. */
export function correlationOf(metadata: Metadata): Correlation {
  return {
    requestId: textOf(metadata, REQUEST_ID) ?? '',
    traceId: textOf(metadata, TRACE_ID) ?? '',
  };
}

/** As of a request over REST: the client's ids where they can be taken. */
function correlate(metadata: Metadata): Correlation {
  metadata.set(REQUEST_ID, givenId(metadata) ?? randomUUID());
  metadata.set(TRACE_ID, traceIdOf(textOf(metadata, 'traceparent')));
  return correlationOf(metadata);
}

/** The first value. */
export function textOf(metadata: Metadata, name: string): string | undefined {
  return metadata.get(name)[0]?.toString();
}

/** @param peer `127.0.0.1:4711`, `[::1]:4711` */
export function addressOf(peer: string): string {
  return peer.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
}

function givenId(metadata: Metadata): string | undefined {
  const given = textOf(metadata, REQUEST_ID);
  return given !== undefined && /^[A-Za-z0-9-]{1,64}$/.test(given) ? given : undefined;
}

/** A call that has ended. */
interface Ended {
  readonly method: string;
  readonly address: string;
  readonly correlation: Correlation;
  readonly code: status;
  /** Milliseconds. */
  readonly ms: number;
}

function teller({ log, metrics }: CallAdmissionOptions): (ended: Ended) => void {
  const total = metrics.counter('grpc_api_requests_total', 'Calls of people answered.', [
    'method',
    'status',
  ] as const);
  const duration = metrics.histogram(
    'grpc_api_request_duration_seconds',
    'Time to answer a call of people.',
    ['method'] as const,
  );
  return ({ method, address, correlation, code, ms }) => {
    total.inc({ method, status: status[code] ?? '' });
    duration.observe({ method }, ms / 1000);
    withCorrelation(correlation, () =>
      log.info(
        {
          operation: `grpc ${method}`,
          status: status[code] ?? '',
          outcome: code === status.OK ? 'ok' : FAILURES.has(code) ? 'failed' : 'refused',
          duration_ms: Math.round(ms),
          'client.ip': address,
        },
        'request',
      ),
    );
  };
}
