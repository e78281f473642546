import type { Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import { periodic, type Worker } from '@gigvault/time/worker';
import type { Notification, Pool } from 'pg';
import type { CertificateKey } from '../ports/certificate-state.ts';
import { STATUS_CHANNEL } from './pg-status-store.ts';

/** What the listener needs. */
export interface StatusListenerOptions {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly log: Log;
  /** Another replica, or this one, committed changes of these certificates. */
  changed(keys: readonly CertificateKey[]): void;
  /** Changes may have been missed: the connection is new. */
  reset(): void;
}

/** Hears what other replicas commit, so that no replica serves a cached answer of before. Holds one connection. */
export function pgStatusListener(options: StatusListenerOptions): Worker {
  return periodic({
    name: 'ocsp.status-listener',
    clock: options.clock,
    interval: 1_000,
    round: (signal) => listen(options, signal),
    onError: (error) => options.log.warn({ error }, 'not hearing the other OCSP replicas'),
  });
}

/** Returns when stopped; throws when the connection is lost. */
async function listen(options: StatusListenerOptions, signal: AbortSignal): Promise<void> {
  const client = await options.pool.connect();
  const { promise: lost, reject } = Promise.withResolvers<never>();
  const { promise: stopped, resolve } = Promise.withResolvers<void>();
  const onNotification = ({ payload }: Notification) => {
    const keys = decode(payload);
    // Every role of the database may notify: what cannot be read empties the cache, which is always safe.
    if (keys) options.changed(keys);
    else options.reset();
  };
  const onEnd = () => reject(new Error('the connection ended'));
  const onAbort = () => resolve();
  client.on('notification', onNotification).on('error', reject).on('end', onEnd);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await client.query(`LISTEN ${STATUS_CHANNEL}`);
    options.reset();
    if (!signal.aborted) await Promise.race([stopped, lost]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    lost.catch(() => undefined);
    client.off('notification', onNotification).off('end', onEnd).off('error', reject);
    client.on('error', () => undefined);
    // Destroyed, not returned: it still listens.
    client.release(true);
  }
}

/** Undefined for what is not a list of pairs of texts. */
function decode(payload: string | undefined): CertificateKey[] | undefined {
  const pairs = parse(payload ?? '');
  if (!Array.isArray(pairs) || !pairs.every(isPair)) return undefined;
  return pairs.map(([issuerId, serialNumber]) => ({ issuerId, serialNumber }));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isPair(value: unknown): value is [string, string] {
  return Array.isArray(value) && value.length === 2 && value.every((v) => typeof v === 'string');
}
