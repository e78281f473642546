import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** What the proxy answers in the place of AWS: an error as AWS writes it, or nothing, for ever. */
export type AwsFault =
  | { readonly error: string; readonly status: number; readonly message?: string }
  | 'silence'
  /** AWS does it, and its answer is lost. */
  | 'lost answer';

/** Stands before moto, and fails where it is told to. */
export interface AwsProxy {
  readonly endpoint: string;
  /** Operations that came, in order, as `Sign`. */
  readonly seen: readonly string[];
  /** The next `times` requests for this operation go wrong. */
  fail(operation: string, fault: AwsFault, times?: number): void;
  /** Nothing goes wrong any more. */
  mend(): void;
  stop(): Promise<void>;
}

/** In front of an endpoint that speaks as AWS does, on 127.0.0.1. */
export async function startAwsProxy(endpoint: string): Promise<AwsProxy> {
  const faults = new Map<string, { readonly fault: AwsFault; times: number }>();
  const seen: string[] = [];
  const server = createServer((incoming, outgoing) => {
    const [, operation = ''] = String(incoming.headers['x-amz-target'] ?? '').split('.');
    seen.push(operation);
    const planned = faults.get(operation);
    if (planned !== undefined && --planned.times <= 0) faults.delete(operation);
    void answer(endpoint, planned?.fault, incoming, outgoing);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    fail: (operation, fault, times = Number.POSITIVE_INFINITY) =>
      void faults.set(operation, { fault, times }),
    mend: () => faults.clear(),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(
  endpoint: string,
  fault: AwsFault | undefined,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const body = await buffer(incoming);
  if (fault === 'silence') return;
  if (fault !== undefined && fault !== 'lost answer') {
    const { error, status, message = 'planned' } = fault;
    outgoing.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' });
    outgoing.end(JSON.stringify({ __type: error, message }));
    return;
  }
  const { method, headers, url } = incoming;
  const asked = request(new URL(url ?? '/', endpoint), { method, headers }, (given) => {
    if (fault === 'lost answer') given.resume().once('end', () => outgoing.destroy());
    else given.pipe(outgoing.writeHead(given.statusCode ?? 500, given.headers));
  });
  asked.once('error', () => outgoing.destroy());
  asked.end(body);
}
