import { createServer } from 'node:net';
import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import { internalGrpcPort, keyApiAddress } from '../composition/grpc-ports.ts';
import { PORT_ORDER, portOf } from '../composition/split-ports.ts';
import type { GigvaultConfig } from '../gigvault.config.ts';

/** A port that a listener will want. */
interface Wanted {
  readonly flag: string;
  readonly port: number;
  readonly hosts: readonly string[];
  /** Split mode: the service that it is for. */
  readonly service?: string;
}

const LAST_PORT = 65_535;

/**
 * Makes sure, before anything is made or started, that every configured port can be listened on. The listeners
 * themselves would notice too late, and not at all on the second address of `localhost`.
 * Errors: CONFLICT naming the port, its flag and in split mode its service; INVALID_ARGUMENT when this user may not listen
 * on it, when two listeners have the same, or when there is no such port.
 */
export async function checkPorts(config: GigvaultConfig): Promise<void> {
  const wanted = wantedPorts(config).filter(({ port }) => port !== 0);
  for (const [i, one] of wanted.entries()) {
    if (one.port > LAST_PORT)
      throw new GigvaultError(
        'INVALID_ARGUMENT',
        `${nameOf(one)} would be port ${one.port}; the last is ${LAST_PORT}. In split mode ${one.flag} is the first of many.`,
      );
    const other = wanted.slice(i + 1).find(({ port }) => port === one.port);
    if (other === undefined) continue;
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `${nameOf(one)} and ${nameOf(other)} are both ${one.port}: each listener needs a port of its own.`,
      { details: { port: one.port } },
    );
  }
  for (const one of wanted) for (const host of one.hosts) await listenOnce(host, one);
}

/** A listener's error in the words of checkPorts when its port was taken after that had looked; any other as it is. */
export function withPortAdvice(error: unknown, config: GigvaultConfig): unknown {
  const { code, message } = asGigvaultError(error);
  // The error of another process has come as text.
  const port = Number(/^Port (\d+) /.exec(message)?.[1]);
  const wanted = wantedPorts(config).find((one) => one.port === port);
  return code === 'CONFLICT' && wanted ? inUse(wanted) : error;
}

function wantedPorts(config: GigvaultConfig): Wanted[] {
  const { host, https, http, metrics, admin } = config;
  const grpc = internalGrpcPort(config);
  const keyApi = keyApiAddress(config);
  const hosts = hostsOf(host);
  const loopback = ['127.0.0.1'];
  const operators = [
    { flag: '--metrics-port', port: metrics.port, hosts: [metrics.address] },
    { flag: '--admin-port', port: admin.port, hosts: loopback },
  ];
  const perProcess = config.split
    ? [{ flag: '--grpc-port', port: grpc, hosts: loopback }, ...operators].flatMap((base) =>
        [...PORT_ORDER, ...(base.flag === '--metrics-port' ? (['edge'] as const) : [])].map(
          (service) => ({ ...base, service, port: portOf(base.port, service) }),
        ),
      )
    : [{ flag: '--grpc-port', port: grpc, hosts }, ...operators];
  return [
    { flag: '--https-port', port: https.port, hosts },
    ...(keyApi ? [{ flag: '--grpc-address', port: keyApi.port, hosts: hostsOf(keyApi.host) }] : []),
    ...perProcess,
    { flag: '--http-port', port: http.port, hosts },
  ];
}

function hostsOf(host: string): readonly string[] {
  return host === 'localhost' ? ['127.0.0.1', '::1'] : [host];
}

function nameOf(wanted: Wanted): string {
  return `${wanted.flag}${whose(wanted)}`;
}

function listenOnce(host: string, wanted: Wanted): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      const refusal = refusalOf(error, wanted);
      if (refusal) reject(refusal);
      else resolve();
    });
    server.listen(wanted.port, host, () => server.close(() => resolve()));
  });
}

/** Undefined for what the listener itself will say better, or what does not matter: a machine without IPv6. */
function refusalOf(error: NodeJS.ErrnoException, wanted: Wanted): GigvaultError | undefined {
  if (error.code === 'EADDRINUSE') return inUse(wanted);
  if (error.code !== 'EACCES') return undefined;
  const { port } = wanted;
  return new GigvaultError(
    'INVALID_ARGUMENT',
    `This user may not listen on port ${port}${whose(wanted)}; ${choose(wanted)}.`,
    { details: { port } },
  );
}

function inUse(wanted: Wanted): GigvaultError {
  const { port } = wanted;
  return new GigvaultError(
    'CONFLICT',
    `Port ${port}${whose(wanted)} is in use by another program. End it, or ${choose(wanted)}.`,
    { details: { port } },
  );
}

function whose({ service }: Wanted): string {
  return service === undefined ? '' : ` (${service})`;
}

function choose({ flag, service }: Wanted): string {
  return service === undefined
    ? `choose another port with ${flag}`
    : `choose another ${flag}: the processes take ports from there on`;
}
