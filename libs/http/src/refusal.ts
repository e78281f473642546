import type { IncomingMessage } from 'node:http';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Log } from '@gigvault/telemetry/log';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { problemReply } from './problem.ts';
import { decode, pathOf, send, stateOf, within } from './request.ts';
import type { ErrorReply, HttpReply } from './route.ts';

/** What an error's answer depends on. */
export interface RefusalContext {
  readonly baseUrl: string;
  readonly log: Log;
  /** The protocol's own form of an error, when the path belongs to a protocol. */
  errorReplyOf(request: FastifyRequest): ErrorReply | undefined;
}

/** Answers an error: in the protocol's own words below a protocol's path, as a problem document elsewhere. */
export async function refuse(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  context: RefusalContext,
): Promise<FastifyReply> {
  const ours = await heardInOurWords(error, request);
  return within(request, async () => {
    if (!(ours instanceof GigvaultError) || ours.code === 'INTERNAL')
      logFailure(context.log, request, ours);
    const answer = await answerOf(ours, request, reply, context);
    if (ours instanceof GigvaultError && ours.details['allow'] !== undefined)
      reply.header('allow', String(ours.details['allow']));
    return send(reply, answer);
  });
}

async function answerOf(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  context: RefusalContext,
): Promise<HttpReply> {
  const errorReply = context.errorReplyOf(request);
  const { traceId } = stateOf(request).correlation;
  if (errorReply === undefined) return problemReply(error, pathOf(request), traceId);
  try {
    return await errorReply(error, decode(request, reply, context.baseUrl));
  } catch (failed) {
    // The answer to an error failed itself: nobody else would answer, and Fastify would send its message.
    logFailure(context.log, request, failed);
    return problemReply(failed, pathOf(request), traceId);
  }
}

function logFailure(log: Log, request: FastifyRequest, error: unknown): void {
  log.error(
    {
      operation: `${request.method} ${pathOf(request)}`,
      error: error instanceof GigvaultError ? (error.cause ?? error) : error,
    },
    'request failed',
  );
}

/** What is read of a body that nobody wants, in octets. */
const DISCARDED = 2_000_000;

/**
 * Lets a client send its body to the end before it hears that it is too large: a connection that is closed while octets are
 * under way is reset, and the answer is lost with it.
 */
function discard(body: IncomingMessage): Promise<void> {
  if (body.readableEnded || body.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    let seen = 0;
    body.on('data', (part: Buffer) => {
      seen += part.length;
      if (seen > DISCARDED) resolve();
    });
    body.once('end', resolve).once('close', resolve).resume();
  });
}

const TOO_LARGE = new GigvaultError('PAYLOAD_TOO_LARGE', 'The request body is too large.');

const UNREADABLE: Readonly<Record<string, GigvaultError>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: TOO_LARGE,
  FST_ERR_CTP_INVALID_MEDIA_TYPE: new GigvaultError(
    'UNSUPPORTED_MEDIA_TYPE',
    'Say what the body is, as content-type: application/json.',
  ),
  FST_ERR_MAX_PARAM_LENGTH: new GigvaultError('INVALID_ARGUMENT', 'The path is too long.'),
  FST_ERR_BAD_URL: new GigvaultError('INVALID_ARGUMENT', 'The path is not well-formed.'),
};

/** As inOurWords, when the client can hear it. */
export async function heardInOurWords(error: unknown, request: FastifyRequest): Promise<unknown> {
  const ours = inOurWords(error);
  if (ours === TOO_LARGE) await discard(request.raw);
  return ours;
}

/** Fastify's own refusals in our words; everything else as it is. */
function inOurWords(error: unknown): unknown {
  if (error instanceof GigvaultError) return error;
  const { code, statusCode } = error as { code?: string; statusCode?: number };
  const known = UNREADABLE[code ?? ''];
  if (known) return known;
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new GigvaultError('INVALID_ARGUMENT', 'The request cannot be understood.', {
      cause: error,
    });
  return error;
}
