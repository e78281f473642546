import { createServer } from 'node:net';

/** Answers http-01 validations on 127.0.0.1, as cheaply as can be: the load is not what is measured. */
export interface ChallengeResponder {
  put(token: string, keyAuthorization: string): void;
  remove(token: string): void;
}

const PATH = /^GET \/\.well-known\/acme-challenge\/([\w-]+) HTTP/;

/** Listens until the process ends. */
export function startChallengeResponder(port: number): Promise<ChallengeResponder> {
  const known = new Map<string, string>();
  const server = createServer({ noDelay: true }, (socket) => {
    let head = '';
    socket.on('error', () => socket.destroy());
    socket.on('data', (octets) => {
      head += octets.toString('latin1');
      if (!head.endsWith('\r\n\r\n')) return;
      const body = known.get(PATH.exec(head)?.[1] ?? '');
      head = '';
      const status = body === undefined ? '404 Not Found' : '200 OK';
      socket.end(
        `HTTP/1.1 ${status}\r\ncontent-length: ${body?.length ?? 0}\r\nconnection: close\r\n\r\n${body ?? ''}`,
      );
    });
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1', backlog: 1024 }, () =>
      resolve({
        put: (token, keyAuthorization) => void known.set(token, keyAuthorization),
        remove: (token) => void known.delete(token),
      }),
    );
  });
}
