import { createServer } from 'node:http';

/** Answers http-01 validations on 127.0.0.1 (RFC 8555 §8.3). */
export interface Http01Responder {
  put(token: string, keyAuthorization: string): void;
  stop(): Promise<void>;
}

/** Listens on the port that `--ra-http01-port` names. Only one ACME client can listen there at a time. */
export function startHttp01Responder(port: number): Promise<Http01Responder> {
  const known = new Map<string, string>();
  const server = createServer((request, response) => {
    const answer = known.get(request.url ?? '');
    response.writeHead(answer === undefined ? 404 : 200).end(answer);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () =>
      resolve({
        put: (token, keyAuthorization) =>
          void known.set(`/.well-known/acme-challenge/${token}`, keyAuthorization),
        stop: () =>
          new Promise((done) => {
            server.close(() => done());
            server.closeAllConnections();
          }),
      }),
    );
  });
}
