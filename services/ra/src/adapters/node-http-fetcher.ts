import http from 'node:http';
import https from 'node:https';
import { isIP } from 'node:net';
import { hostOf } from '@gigvault/egress/address-rules';
import { parseIp } from '@gigvault/egress/network';
import type { HopFetcher, HopReply, HopRequest } from '../ports/hop-fetcher.ts';
import { ChallengeFailure } from '../validation/challenge-failure.ts';

const MAX_HEADERS = 8192;
const CONNECT_TIMEOUT = 4000;

/** GETs over node:http and node:https, to a pinned address, with nothing decompressed and nothing followed. */
export const nodeHttpFetcher: HopFetcher = {
  fetch: (hop) =>
    new Promise((resolve, reject) => {
      const request = open(hop);
      let connected = false;
      const tooSlow = AbortSignal.timeout(CONNECT_TIMEOUT);
      tooSlow.addEventListener('abort', () => {
        if (!connected)
          request.destroy(
            new ChallengeFailure('connection', `No connection to ${hop.address} in time`, {
              retry: true,
            }),
          );
      });
      request.once('socket', (socket) =>
        socket.once('connect', () => {
          connected = true;
          // Belt and braces: the address was given as a literal, so nothing has resolved a name in between.
          if (isPinned(socket.remoteAddress, hop.address)) hop.onConnect();
          else {
            request.destroy(
              new ChallengeFailure(
                'connection',
                `Connected to ${socket.remoteAddress} instead of ${hop.address}`,
              ),
            );
          }
        }),
      );
      let answered = false;
      request.once('response', (response) => {
        answered = true;
        readReply(response, hop.maxBody).then(resolve, reject);
      });
      request.on('error', (error) => reject(asFailure(error, hop)));
      // Without a response and without an error: a protocol upgrade that nobody asked for.
      request.once('close', () => {
        if (!answered)
          reject(
            new ChallengeFailure(
              'connection',
              `${hop.address} closed the connection without an answer`,
            ),
          );
      });
      request.end();
    }),
};

function open({ url, address, signal }: HopRequest): http.ClientRequest {
  const host = hostOf(url);
  const options: https.RequestOptions = {
    host: address,
    port: url.port === '' ? undefined : Number(url.port),
    path: `${url.pathname}${url.search}`,
    method: 'GET',
    headers: {
      host: url.host,
      'user-agent': 'GigVault-RA',
      accept: '*/*',
      'accept-encoding': 'identity',
      connection: 'close',
    },
    agent: false,
    maxHeaderSize: MAX_HEADERS,
    signal,
  };
  if (url.protocol === 'http:') return http.request(options);
  // RFC 8555 §8.3: the proof is what the server says, not its certificate, which it may be about to replace.
  return https.request({
    ...options,
    rejectUnauthorized: false,
    servername: isIP(host) ? '' : host,
  });
}

async function readReply(response: http.IncomingMessage, maxBody: number): Promise<HopReply> {
  const { statusCode: status = 0, headers } = response;
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > maxBody) break;
    }
  } catch (cause) {
    throw new ChallengeFailure('connection', 'The connection broke off within the reply', {
      cause,
    });
  } finally {
    response.destroy();
  }
  return {
    status,
    location: headers.location,
    body: Buffer.concat(chunks).subarray(0, maxBody),
    truncated: length > maxBody,
  };
}

function isPinned(remote: string | undefined, address: string): boolean {
  const [actual, wanted] = [parseIp(remote ?? ''), parseIp(address)];
  return actual !== undefined && wanted !== undefined && actual.equals(wanted);
}

function asFailure(error: NodeJS.ErrnoException, { address, url }: HopRequest): unknown {
  if (error instanceof ChallengeFailure) return error;
  const code = error.code ?? '';
  if (/^(ERR_SSL|ERR_TLS|EPROTO)/.test(code)) {
    return new ChallengeFailure('tls', `TLS with ${url.hostname} (${address}) failed: ${code}`, {
      cause: error,
    });
  }
  if (code.startsWith('HPE_')) {
    return new ChallengeFailure(
      'connection',
      `${address} did not answer with HTTP that can be read: ${code}`,
      { cause: error },
    );
  }
  return new ChallengeFailure(
    'connection',
    `Cannot connect to ${address}: ${code || error.message}`,
    { retry: true, cause: error },
  );
}
