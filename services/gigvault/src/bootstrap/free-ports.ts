import { createServer } from 'node:net';
import { GigvaultError } from '@gigvault/errors/gigvault-error';

/**
 * Checks, before anything is made or changed, that the listeners will find their ports.
 * Errors: CONFLICT naming the first port that another program has, FORBIDDEN for one that this user may not open.
 *
 * @param ports by what they are for, as `{ https: 8443 }`; 0 is always free
 */
export async function requireFreePorts(
  host: string,
  ports: Readonly<Record<string, number>>,
): Promise<void> {
  for (const [name, port] of Object.entries(ports)) {
    if (port !== 0) await requireFreePort(host, name, port);
  }
}

function requireFreePort(host: string, name: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => reject(portError(error, name, port)));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve()));
  });
}

function portError(error: NodeJS.ErrnoException, name: string, port: number): Error {
  const details = { port };
  if (error.code === 'EADDRINUSE') {
    return new GigvaultError(
      'CONFLICT',
      `Port ${port} is in use by another program. Choose another with --${name}-port.`,
      { details },
    );
  }
  if (error.code === 'EACCES') {
    return new GigvaultError(
      'FORBIDDEN',
      `This user may not listen on port ${port}. Choose another with --${name}-port.`,
      { details },
    );
  }
  return error;
}
