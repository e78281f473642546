import { get, request } from 'node:http';
import { get as getSecurely } from 'node:https';
import type { TLSSocket } from 'node:tls';

/** Fetches over plain HTTP, as a relying party does. Errors: whatever the connection says, or an HTTP status other than 200. */
export function fetchStatus(
  url: string,
  body?: { readonly type: string; readonly content: Buffer },
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const onResponse = (response: import('node:http').IncomingMessage) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(parts));
        else reject(new Error(`${url} answered ${response.statusCode}`));
      });
    };
    const options = { timeout: 5_000, agent: false };
    const call = body
      ? request(
          url,
          {
            ...options,
            method: 'POST',
            headers: { 'content-type': body.type, 'content-length': body.content.length },
          },
          onResponse,
        )
      : get(url, options, onResponse);
    call.on('timeout', () => call.destroy(new Error(`${url} did not answer in time`)));
    call.on('error', reject);
    call.end(body?.content);
  });
}

/** Where the public listener is reached from this machine, whatever name its certificate has. */
export interface PublicListener {
  /** As `127.0.0.1` or `localhost`. */
  readonly host: string;
  readonly port: number;
  /** PEM: the root, or whatever certificate of the listener's chain is trusted. */
  readonly trusted: string;
  /** One of another CA is served on when it has expired, of which operators are told elsewhere. */
  readonly mayHaveExpired: boolean;
}

/** Whether `/ready` says so, over verified TLS. Errors: what the connection says. */
export function isReady(listener: PublicListener): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const { host, port, trusted, mayHaveExpired } = listener;
    const call = getSecurely(
      {
        host,
        port,
        ca: trusted,
        allowPartialTrustChain: true,
        // That it is the chain is enough: the name in it may be the one of a proxy.
        checkServerIdentity: () => undefined,
        rejectUnauthorized: !mayHaveExpired,
        path: '/ready',
        agent: false,
        timeout: 5_000,
      },
      (response) => {
        response.resume();
        const { authorized, authorizationError: error } = response.socket as TLSSocket;
        if (!authorized && String(error) !== 'CERT_HAS_EXPIRED')
          reject(new Error(`the public listener's certificate is not trusted: ${error}`));
        response.on('end', () => resolve(response.statusCode === 200));
      },
    );
    call.on('timeout', () => call.destroy(new Error('the public listener did not answer in time')));
    call.on('error', reject);
  });
}
