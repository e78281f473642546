import { createServer } from 'node:net';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { GigvaultConfig } from '../gigvault.config.ts';

/**
 * Makes sure, before anything is made or started, that every configured port can be listened on. The listeners
 * themselves would notice too late, and not at all on the second address of `localhost`.
 * Errors: CONFLICT naming the port and its flag; INVALID_ARGUMENT when this user may not listen on it.
 */
export async function checkPorts(config: GigvaultConfig): Promise<void> {
  const ofOneProcess = {
    '--grpc-port': config.grpc.port,
    '--metrics-port': config.metrics.port,
    '--admin-port': config.admin.port,
  };
  const ports = {
    '--https-port': config.https.port,
    ...(config.split ? {} : ofOneProcess),
    '--http-port': config.http.port,
  };
  const given = Object.entries(ports).filter(([, port]) => port !== 0);
  for (const [flag, port] of given) {
    const [other] = given.find(([name, same]) => same === port && name !== flag) ?? [];
    if (other === undefined) continue;
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `${flag} and ${other} are both ${port}: each listener needs a port of its own.`,
      { details: { port } },
    );
  }
  const hosts = config.host === 'localhost' ? ['127.0.0.1', '::1'] : [config.host];
  for (const [flag, port] of Object.entries(ports)) {
    for (const host of port === 0 ? [] : hosts) await listenOnce(host, port, flag);
  }
}

function listenOnce(host: string, port: number, flag: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      const refusal = refusalOf(error, port, flag);
      if (refusal) reject(refusal);
      else resolve();
    });
    server.listen(port, host, () => server.close(() => resolve()));
  });
}

/** Undefined for what the listener itself will say better, or what does not matter: a machine without IPv6. */
function refusalOf(
  error: NodeJS.ErrnoException,
  port: number,
  flag: string,
): GigvaultError | undefined {
  if (error.code === 'EADDRINUSE')
    return new GigvaultError(
      'CONFLICT',
      `Port ${port} is in use by another program. End it, or choose another port with ${flag}.`,
      { details: { port } },
    );
  if (error.code === 'EACCES')
    return new GigvaultError(
      'INVALID_ARGUMENT',
      `This user may not listen on port ${port}. Choose another port with ${flag}.`,
      { details: { port } },
    );
  return undefined;
}
