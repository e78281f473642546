import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** A collector of traces that keeps all that it is sent (OTLP/HTTP). */
export interface TraceCollector {
  readonly endpoint: string;
  received(): Buffer;
  stop(): void;
}

/** Starts one on a free port. */
export async function startTraceCollector(): Promise<TraceCollector> {
  const parts: Buffer[] = [];
  const server: Server = createServer((request, response) => {
    buffer(request).then((body) => {
      parts.push(Buffer.from(JSON.stringify(request.headers)), body);
      response.setHeader('content-type', 'application/json').end('{}');
    });
  });
  // Longer than between two batches: a connection that ends just then loses one.
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    received: () => Buffer.concat(parts),
    stop: () => void server.close(),
  };
}
