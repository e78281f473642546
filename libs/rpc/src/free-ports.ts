import { createServer } from 'node:net';

/** Programs that pick ports at the same time pick them from blocks of their own, chosen by process id. */
export interface PortRange {
  /** The lowest. Below 32768 no outgoing connection can sit on a port that a listener was promised. */
  readonly first: number;
  /** Ports in a block. */
  readonly block: number;
  readonly blocks: number;
}

/** The first ports of this process's block on which nobody listens, on neither loopback address. */
export async function freePorts(count: number, range: PortRange): Promise<number[]> {
  const ports: number[] = [];
  const start = range.first + (process.pid % range.blocks) * range.block;
  for (let port = start; ports.length < count; port++)
    if ((await isFree(port, '127.0.0.1')) && (await isFree(port, '::1'))) ports.push(port);
  return ports;
}

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    // Without IPv6 nobody can listen there either.
    server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'EADDRINUSE'));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}
