import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** A listener, by its port on 127.0.0.1; with `tls` nobody looks at its certificate. */
export interface RawTarget {
  readonly port: number;
  readonly tls: boolean;
}

/** Octets to a server, without any HTTP client: opens a connection; it has been made once `connect` or `secureConnect` comes. */
export function openRaw({ port, tls }: RawTarget): Socket {
  return tls
    ? connectTls({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false })
    : connect(port, '127.0.0.1');
}

/** Sends these octets, ends nothing, and resolves with all that came back once the server has closed. Rejects after `patience` milliseconds. */
export function exchangeRaw(
  target: RawTarget,
  octets: string | Buffer,
  patience = 20_000,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = openRaw(target);
    let answer = '';
    socket.setTimeout(patience, () => {
      socket.destroy();
      reject(new Error(`the connection stays open after: ${answer.slice(0, 200)}`));
    });
    socket.on('data', (part: Buffer) => {
      answer += part.toString('latin1');
    });
    // A server that closes while octets are under way resets the connection.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
    socket.on('close', () => resolve(answer));
    socket.write(octets);
  });
}
